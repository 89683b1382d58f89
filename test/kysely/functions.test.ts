import { sql } from 'kysely'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { openDatabase } from '../support/cluster.ts'
import { whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db } = useShop({
  sql: [
    'create sequence counter',
    'create function undeclared(int) returns int language sql as $$ select $1 $$',
    'create function declared(int) returns int language sql stable as $$ select $1 $$',
    'create function "Quoted"(int) returns int language sql immutable as $$ select $1 $$',
    "create view counted as select nextval('counter') as n",
    'create view over_counted as select n from counted',
    'create view plain as select id from item',
  ],
})

beforeAll(() => whenCatalogIsRead(db))

const routes = (text: string, on = db) => whereAndWhyInRequest(() => sql.raw(text).execute(on))

describe('a function', () => {
  test.each([
    ['select declared(1)', 'replica: read'],
    ['select "Quoted"(1), lower(\'X\'), count(*) over () from item', 'replica: read'],
    ['select public.declared(1)', 'replica: read'],
    ['select undeclared(1)', 'primary: function'],
    ["select nextval('counter')", 'primary: function'],
    ['select n from counted', 'primary: function'],
    ['select n from over_counted', 'primary: function'],
    ['select * from plain', 'replica: read'],
    ['select random(), gen_random_uuid()', 'replica: read'],
    ["select set_config('application_name', 'x', false)", 'replica: read'],
    ['select pg_try_advisory_xact_lock(1)', 'primary: session'],
    ["set application_name = 'x'", 'replica: read'],
    ["explain insert into item (name) values ('a')", 'replica: read'],
    ['with i as (select 1) select * from i', 'replica: read'],
    ['/* what? */ select 1', 'replica: read'],
  ])('%s → %s', async (text, route) => {
    expect(await routes(text)).toEqual([route])
  })

  test('that the catalog does not know has it read again first', async () => {
    await cluster.primary.query(
      'create function latecomer() returns int language sql stable as $$ select 1 $$',
    )
    await cluster.waitForCatchup()
    expect(await routes('select latecomer()')).toEqual(['replica: read'])
  })

  test('is what the options say', async () => {
    const told = openDatabase(cluster, {
      replicaFunctions: ['undeclared'],
      primaryFunctions: ['public.declared', 'lower'],
    })
    await vi.waitFor(async () => expect(await routes('select "Quoted"(1)', told)).toEqual(['replica: read']))
    expect(await routes('select undeclared(1)', told)).toEqual(['replica: read'])
    expect(await routes('select public.declared(1)', told)).toEqual(['primary: function'])
    expect(await routes('select declared(1)', told)).toEqual(['primary: function'])
    expect(await routes("select lower('X')", told)).toEqual(['primary: function'])
    await told.destroy()
  })

  test('that keeps sending reads to the primary is named once, with the option that changes it', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    for (let sent = 0; sent < 50; sent++) await routes(`select undeclared(${sent})`)
    const messages = warned.mock.calls
      .map(([message]) => String(message))
      .filter((each) => each.includes('undeclared'))
    warned.mockRestore()
    expect(messages).toEqual([expect.stringContaining('replicaFunctions')])
  })
})

describe('a statement that is bound to the session', () => {
  test('keeps its connection on the primary, and pins nobody', async () => {
    const seen = await whereAndWhyInRequest(async () => {
      await db.connection().execute(async (one) => {
        await one.selectFrom('item').selectAll().execute()
        await sql`prepare its as select 1`.execute(one)
        await one.selectFrom('item').selectAll().execute()
        await sql`deallocate its`.execute(one)
      })
      await db.selectFrom('item').selectAll().execute()
    })
    expect(seen).toEqual([
      'replica: read',
      'primary: session',
      'primary: same-connection',
      'primary: session',
      'replica: read',
    ])
  })

  test('counts as a write where it runs a prepared one', async () => {
    const seen = await whereAndWhyInRequest(async () => {
      await db.connection().execute(async (one) => {
        await sql`prepare add as insert into item (name) values ('prepared')`.execute(one)
        await sql`execute add`.execute(one)
        await sql`deallocate add`.execute(one)
      })
      await db.selectFrom('item').selectAll().execute()
    })
    expect(seen.at(-1)).toBe('primary: own-write')
  })
})
