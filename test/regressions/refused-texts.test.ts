import { sql } from 'kysely'
import { expect, test, vi } from 'vitest'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// A text that a replica refused is a write from then on, until the catalog is another: then it is judged anew.
const { cluster, open } = useShop({
  sql: `
    create table log (what text);
    create function f(x int) returns int language sql stable as 'select x';
    create function tries(x int) returns int language sql as $$ insert into log values ('tried') returning x $$`,
})

const WRITES = `create or replace function f(x int) returns int language plpgsql volatile as
  $$ begin insert into log values ('f'); return x; end $$`
const HARMLESS = "create or replace function f(x int) returns int language sql stable as 'select x'"

async function byAnother(text: string): Promise<void> {
  await cluster.primary.query(text)
  await cluster.waitForCatchup()
}

test('a refusal has the catalog read anew, and what is harmless again by then is a read again', async () => {
  const db = open()
  await whenCatalogIsRead(db)
  const routesOf = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))
  expect(await routesOf('select f(1)')).toEqual(['replica: read'])
  await byAnother(WRITES)
  expect(await routesOf('select f(1)')).toEqual(['replica: read', 'primary: refused'])
  // Another text shows what the catalog says by then; the one that was refused is judged by that as well.
  await vi.waitFor(async () => expect(await routesOf('select f(2)')).toEqual(['primary: function']), 10_000)
  await vi.waitFor(async () => expect(await routesOf('select f(1)')).toEqual(['primary: function']), 10_000)
  await byAnother(HARMLESS)
  await byAnother('create view made_by_another as select f(1) as x')
  await vi.waitFor(async () => {
    // A name that nobody has heard of has it looked at once more.
    await sql.raw('select * from made_by_another').execute(db)
    expect(await routesOf('select f(1)')).toEqual(['replica: read'])
    expect(await routesOf('select f(1) as y')).toEqual(['replica: read'])
  }, 10_000)
})

test('a refused text stays a write for as long as the catalog stays the same', async () => {
  const db = open({ replicaFunctions: ['tries'] })
  await whenCatalogIsRead(db)
  const routesOf = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))
  expect(await routesOf('select tries(1)')).toEqual(['replica: read', 'primary: refused'])
  // A table that is known to be plain is so once the look is over that the refusal has caused.
  await whenCatalogIsRead(db)
  expect(await routesOf('select tries(1)')).toEqual(['primary: write'])
  expect(await countsAsWrite(db, 'select tries(1)')).toBe(true)
})
