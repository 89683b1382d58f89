import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { beforeEach, expect, test, vi } from 'vitest'
import type { PoolLike } from 'write-pinning/kysely'
import type { Database } from '../support/cluster.ts'
import { askedBy } from '../support/own-questions.ts'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { messagesOf } from '../support/warnings.ts'

// PostgreSQL lets a cast be written like the call of a function that is named like the type, and the column of a row like a call as
// well: there is no such function, however often the server is asked for it.
const { cluster, open } = useShop({
  sql: `
    create sequence counter;
    create schema other;
    create type mood as enum ('happy');
    create type "Weather" as enum ('fair');
    create type other.size as enum ('small');
    create domain positive as int check (value > 0);
    create function counts(int) returns boolean language sql as $$ select nextval('counter') > 0 $$;
    create domain counted as int check (counts(value));
    create type both_ways as enum ('a');
    create function both_ways(text) returns text language sql as $$ select $1 $$;
    create function feels() returns text language sql stable as $$ select mood('happy')::text $$;
    insert into session values ('s', 'data')`,
})
let db: Kysely<Database>
/** How often the server was asked whether its functions have changed. */
let looks = 0

class Counting extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: it is overloaded.
  override async query(...args: any[]): Promise<any> {
    if (/'pg_proc', pg_catalog.count/.test(askedBy(args).text)) looks++
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    return await (super.query as any)(...args)
  }
}

beforeEach(async () => {
  const pool = new pg.Pool({ connectionString: cluster.primary.connectionString })
  db = open({ primary: Object.assign(pool, { Client: Counting }) as unknown as PoolLike })
  await whenCatalogIsRead(db)
  looks = 0
})

const routes = (text: string, on = db) => whereAndWhyInRequest(() => sql.raw(text).execute(on))

const BUILT_IN = [
  "select uuid('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')",
  "select pg_catalog.jsonb('{}')",
  "select tsquery('a & b')",
  "select regconfig('english')",
]

test.each([
  ...BUILT_IN,
  "select _text('{a}')",
  "select mood('happy')",
  `select "Weather"('fair')`,
  "select other.size('small')",
  'select positive(1)',
  'select feels()',
])('%s runs on a replica, and nobody asks for the function', async (text) => {
  expect(await routes(text)).toEqual(['replica: read'])
  expect(await countsAsWrite(db, text)).toBe(false)
  expect(looks).toBe(0)
})

test.each([
  ['to a domain whose check is volatile', 'select counted(1)'],
  ['to a type that a volatile function is called like', "select both_ways('a')"],
])('a cast %s, written like a call, runs on the primary', async (_what, text) => {
  expect(await routes(text)).toEqual(['primary: function'])
})

test('a cast to a type of PostgreSQL’s runs on a replica before the catalog is read', async () => {
  await cluster.primary.query('create role limited login; grant select on item to limited')
  await cluster.primary.query('revoke select on pg_proc from public')
  await cluster.waitForCatchup()
  const url = (of: { connectionString: string }) => of.connectionString.replace('postgres@', 'limited@')
  const fresh = open({ primary: url(cluster.primary), replicas: cluster.replicas.map(url) })
  for (const text of BUILT_IN) expect(await routes(text, fresh), text).toEqual(['replica: read'])
  await cluster.primary.query('grant select on pg_proc to public')
  await cluster.waitForCatchup()
})

/** Does it so many seconds later, as far as this process can tell. */
async function later<T>(seconds: number, fn: () => Promise<T>): Promise<T> {
  const { now } = performance
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + seconds * 1_000)
  try {
    return await fn()
  } finally {
    spy.mockRestore()
  }
}

test('what is no function is asked for once, not warned of, and once more when minutes have passed', async () => {
  const text = 'select data(s) from session s'
  expect(await routes(text)).toEqual(['primary: function'])
  expect(await countsAsWrite(db, text)).toBe(false)
  expect(looks).toBe(1)
  const said = await messagesOf(async () => {
    for (let times = 0; times < 25; times++) await later(20, () => routes(text))
    await later(20, () => routes(`${text} where sid = 's'`))
  })
  expect([said, looks]).toEqual([[], 1])
  await later(400, () => routes(text))
  expect(looks).toBe(2)
})

test('what was no function is one once this process has made it, or another name was asked for', async () => {
  await expect(routes('select made_here()')).rejects.toThrow()
  await expect(routes('select made_there()')).rejects.toThrow()
  await sql`create function made_here() returns int language sql stable as 'select 1'`.execute(db)
  await cluster.waitForCatchup()
  await vi.waitFor(async () => expect(await routes('select made_here()')).toEqual(['replica: read']), 10_000)
  await cluster.primary.query("create function made_there() returns int language sql stable as 'select 1'")
  await cluster.waitForCatchup()
  await later(20, () => expect(routes('select another()')).rejects.toThrow())
  await vi.waitFor(async () => expect(await routes('select made_there()')).toEqual(['replica: read']), 10_000)
})

test('the warning of a volatile function is a sentence', async () => {
  const said = await messagesOf(async () => {
    for (let times = 0; times < 25; times++) await routes("select both_ways('a')")
  })
  expect(said).toEqual([
    "The function both_ways() keeps sending statements of cluster 'default' to the primary, and pins who sends them, because it is " +
      "declared volatile, which is the default. If it only reads, declare it `stable`, or name it in the dialect's `replicaFunctions`.",
  ])
})
