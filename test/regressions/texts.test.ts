import { text as textOf } from 'node:stream/consumers'
import { sql } from 'kysely'
import pg from 'pg'
import { to } from 'pg-copy-streams'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { PostgresNode } from 'write-pinning/testing'
import { countsAsWrite, inRequest, openRequest, whereAndWhyInRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// Texts that only read, however they are written, are reads; those that do more are not.
const { cluster, atEnd, open } = useShop({
  sql: [
    `create table log (m text)`,
    `create function w(x int) returns int language plpgsql as
      $$ begin insert into log values ('w'); return x; end $$`,
    // It is declared stable, so that it is taken for one that writes nothing.
    `create function hidden() returns int language plpgsql stable as
      $$ begin perform w(1); return 1; end $$`,
    `create domain posint as int check (value > 0)`,
    `insert into item (name) values ('lamp')`,
  ],
})
const db = open()
let pool: PrimaryReplicaPool

beforeAll(async () => {
  const [replica] = cluster.replicas
  pool = new PrimaryReplicaPool({
    primary: cluster.primary.connectionString,
    replicas: [(replica as PostgresNode).connectionString],
  })
  atEnd(() => pool.end())
  for (const each of ['select posint(5)', 'select w(1)']) {
    const route = each.includes('w') ? 'primary: function' : 'replica: read'
    await vi.waitFor(async () => expect(await where(each)).toEqual([route]), 5_000)
    await vi.waitFor(async () => expect(await whereInPool(each)).toEqual([route]), 5_000)
  }
})

const where = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))
const whereInPool = (text: string) => whereAndWhyInRequest(() => pool.query(text))

describe('A text that only reads', () => {
  test.each([
    'select U&"id" from item',
    'select posint(5)',
    'select 1; select 2',
    'select last_value from pg_sequences',
    'explain select w(1)',
    'explain (analyze false) select w(1)',
    'explain (analyze off, costs off) insert into item (name) values (1)',
    'explain (select w(1))',
  ])('is a read: %s', async (text) => {
    expect(await countsAsWrite(db, text)).toBe(false)
    if (!text.includes('pg_sequences')) expect(await where(text)).toEqual(['replica: read'])
  })

  test.each([
    'select 1; select w(1)',
    'select w(1); select 2',
    'explain analyze select w(1)',
    'select U&"\\0077"(1)',
    'copy (select w(1)) to stdout',
    'select 1; insert into log values (1)',
  ])('is told from one that writes: %s', async (text) => {
    expect(await countsAsWrite(db, text)).toBe(true)
  })

  test.each([
    ['prepare p(int) as select $1', 'execute p(w(3))'],
    ['begin', 'explain analyze declare c cursor for select w(3)', 'commit'],
    ['begin', 'declare c cursor for select w(3)', 'move all in c', 'commit'],
    ['select 1; begin', 'insert into log values (1)', 'commit'],
  ])('is told from what runs such a one: %s; %s', async (...texts) => {
    const request = openRequest()
    await request.run(() =>
      db.connection().execute(async (connection) => {
        for (const text of texts) await sql.raw(text).execute(connection)
      }),
    )
    expect(request.memory.wroteTo).toBeDefined()
  })
})

describe('Several reads in one text', () => {
  test('give what plain pg gives', async () => {
    const client = new pg.Client(cluster.primary.connectionString)
    await client.connect()
    atEnd(() => client.end())
    const rowsOf = (results: unknown) =>
      (results as pg.QueryResult[]).map(({ rows, command, rowCount }) => ({ rows, command, rowCount }))
    const text = 'select 1 as a; select name from item; show server_encoding'
    expect(rowsOf(await inRequest(() => pool.query(text)))).toEqual(rowsOf(await client.query(text)))
  })

  test("give no rows through Kysely, as with Kysely's own dialect", async () => {
    expect((await inRequest(() => sql.raw('select 1; select 2').execute(db))).rows).toEqual([])
  })

  test('of which a replica refuses one run anew on the primary', async () => {
    const request = openRequest()
    const before = await cluster.primary.query('select count(*)::int as n from log')
    const text = 'select 1 as a; select hidden() as b'
    const results = await request.run(() => pool.query(text))
    expect((results as unknown as pg.QueryResult[]).map(({ rows }) => rows)).toEqual([[{ a: 1 }], [{ b: 1 }]])
    expect(request.memory.wroteTo).toBeDefined()
    const after = await cluster.primary.query('select count(*)::int as n from log')
    expect(after).toEqual([{ n: (before[0]?.n as number) + 1 }])
  })

  test('are read where an exact pin is met, which is asked before', async () => {
    const [replica] = cluster.replicas as [PostgresNode]
    const write = () =>
      runWithPin(
        undefined,
        async () => {
          await pool.query("insert into item (name) values ('chair')")
          return await capturePin()
        },
        { pin: 'exact' },
      )
    const read = () => pool.query('select 1 as a; select count(*)::int as n from item')
    const seen = async (token: string | undefined) => {
      let results: unknown
      const routes = await whereAndWhy(() => runWithPin(token, async () => (results = await read())))
      return { routes, n: (results as pg.QueryResult[])[1]?.rows[0]?.n }
    }
    const first = await write()
    await cluster.waitForCatchup()
    await vi.waitFor(async () => expect(await seen(first)).toEqual({ routes: ['replica: pin'], n: 2 }), 5_000)
    await replica.pauseReplay()
    try {
      expect(await seen(await write())).toEqual({ routes: ['primary: pin'], n: 3 })
    } finally {
      await replica.resumeReplay()
    }
  })

  test('that take longer than a read may end with the error of that', async () => {
    const bounded = new PrimaryReplicaPool({
      primary: cluster.primary.connectionString,
      replicas: cluster.replicas.map(({ connectionString }) => connectionString),
      readTimeoutMs: 300,
    })
    atEnd(() => bounded.end())
    await inRequest(() => expect(bounded.query('select 1; select pg_sleep(60)')).rejects.toThrow(/300 ms/))
  })
})

describe('A COPY to the client', () => {
  test.each([
    ['a table', 'copy item (name) to stdout'],
    ['a query', "copy (select name from item where name = 'lamp') to stdout"],
  ])('of %s reads on the primary, and pins nobody', async (_what, text) => {
    const request = openRequest()
    let copied = ''
    const routes = await whereAndWhy(() =>
      request.run(async () => {
        const client = await pool.connect()
        try {
          copied = await textOf(client.query(to(text)))
        } finally {
          client.release()
        }
      }),
    )
    expect(routes).toEqual(['primary: primary-table'])
    expect(copied).toMatch(/^lamp\n/)
    expect(request.memory.wroteTo).toBeUndefined()
  })

  test('to a file or a program of the server stays a write', async () => {
    expect(await where("copy item to program 'cat > /dev/null'")).toEqual(['primary: write'])
    expect(await countsAsWrite(db, "copy (select 1) to program 'cat > /dev/null'")).toBe(true)
  })
})
