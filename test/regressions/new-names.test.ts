import { type Kysely, sql } from 'kysely'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { Database } from '../support/cluster.ts'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// A relation is made while the process runs: a text that names it waits until the server has said what it is.
const { cluster, open } = useShop({
  sql: `
    create table log (what text);
    create table t (id int primary key, a int);
    insert into t values (1, 10), (2, 20);
    create function writes(x int) returns int language plpgsql as
      $$ begin insert into log values ('written'); return x; end $$;
    create function catches(x int) returns int language plpgsql as
      $$ begin begin insert into log values ('written'); exception when others then return -99; end; return x; end $$;
    create schema "Other"`,
})
let db: Kysely<Database>
let made = 0

beforeEach(async () => {
  db = open()
  await whenCatalogIsRead(db)
})

const routesOf = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

/** Has another process make something of a new name, and gives the name. */
async function make(text: (name: string) => string): Promise<string> {
  const name = `made_${++made}`
  await cluster.primary.query(text(name))
  await cluster.waitForCatchup()
  return name
}

const writing = () => make((name) => `create view ${name} as select writes(id) as id from t`)

test('a view that writes runs on the primary from its first reading on', async () => {
  const name = await writing()
  expect(await routesOf(`select * from ${name}`)).toEqual(['primary: function'])
})

test('a view that handles what a replica would refuse gives what the primary does', async () => {
  const name = await make((each) => `create view ${each} as select catches(id) as id from t where id = 1`)
  const { rows } = await sql.raw(`select * from ${name}`).execute(db)
  expect(rows).toEqual([{ id: 1 }])
})

test('a view that writes counts, also in a transaction', async () => {
  const name = await writing()
  expect(await countsAsWrite(db, `select * from ${name}`)).toBe(true)
})

test('a change of no row that reads a view that writes counts', async () => {
  const name = await writing()
  expect(await countsAsWrite(db, `delete from t using ${name} v where t.id = v.id and v.id < -5`)).toBe(true)
})

test('a prepared statement and a cursor of one are known as well', async () => {
  const [prepared, declared] = [await writing(), await writing()]
  await db.transaction().execute(async (trx) => {
    await sql.raw(`prepare p as select * from ${prepared}`).execute(trx)
    await sql.raw(`declare c cursor for select * from ${declared}`).execute(trx)
  })
  expect(await routesOf(`select * from ${prepared}`)).toEqual(['primary: function'])
  expect(await routesOf(`select * from ${declared}`)).toEqual(['primary: function'])
})

test.each([
  ['a table', (name: string) => `create table ${name} (id int)`],
  ['a view that only reads', (name: string) => `create view ${name} as select id from t`],
  ['a materialized view', (name: string) => `create materialized view ${name} as select id from t`],
  [
    'a partition',
    (name: string) =>
      `create table ${name}_all (id int) partition by list (id); create table ${name} partition of ${name}_all default`,
  ],
])('%s is read on a replica from its first reading on', async (_what, text) => {
  const name = await make(text)
  expect(await routesOf(`select * from ${name}`)).toEqual(['replica: read'])
})

test('a name in another schema is another one', async () => {
  await make(() => 'create view "Other".t as select writes(1) as id')
  expect(await routesOf('select * from "Other".t')).toEqual(['primary: function'])
  expect(await routesOf('select * from public.t')).toEqual(['replica: read'])
})

test('several at once are asked for together', async () => {
  const names = [await writing(), await writing(), await writing()]
  const counted = await Promise.all(names.map((name) => countsAsWrite(db, `select * from ${name}`)))
  expect(counted).toEqual([true, true, true])
  for (const name of names) expect(await routesOf(`select * from ${name}`)).toEqual(['primary: function'])
})

test('a name that the server does not have fails as anywhere, and is known once something is made of it', async () => {
  const text = 'select * from not_made_yet'
  await expect(routesOf(text)).rejects.toMatchObject({ code: '42P01' })
  await cluster.primary.query('create view not_made_yet as select writes(id) as id from t')
  await cluster.waitForCatchup()
  // A look that is made for another name finds it.
  const other = await make((name) => `create table ${name} ()`)
  expect(await routesOf(`select * from ${other}`)).toEqual(['replica: read'])
  expect(await routesOf(text)).toEqual(['primary: function'])
})

describe('what this process makes', () => {
  test('is known once its statement is over', async () => {
    await sql.raw('create view made_here as select writes(id) as id from t').execute(db)
    expect(await routesOf('select * from made_here')).toEqual(['primary: function'])
  })

  test('is known once its transaction is committed, also where it was there before', async () => {
    await sql.raw('create view changed_here as select id from t').execute(db)
    await cluster.waitForCatchup()
    expect(await routesOf('select * from changed_here')).toEqual(['replica: read'])
    await db.transaction().execute(async (trx) => {
      await sql.raw('create or replace view changed_here as select writes(id) as id from t').execute(trx)
    })
    await cluster.waitForCatchup()
    await vi.waitFor(async () => {
      expect(await routesOf('select * from changed_here')).toEqual(['primary: function'])
    }, 10_000)
  })

  test('a temporary table of its own is read where it is', async () => {
    await db.connection().execute(async (on) => {
      await sql`create temporary table passing (id int)`.execute(on)
      const { rows } = await sql`select count(*)::int as count from passing`.execute(on)
      expect(rows).toEqual([{ count: 0 }])
    })
  })
})
