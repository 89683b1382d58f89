import { sql } from 'kysely'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { PostgresNode } from 'write-pinning/testing'
import { postgresVersion } from '../support/postgres-version.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// No session carries what one client has set to another, whoever that is, and however it was set.
const { cluster, atEnd, open } = useShop({
  sql: [
    "create function keep(x text) returns text language sql as $$ select set_config('app.tenant', x, false) $$",
    `create function keep_by_another(x text) returns int language plpgsql as
      $$ begin perform keep(x); return 1; end $$`,
    `create function keep_by_a_statement() returns int language plpgsql as
      $$ begin set app.tenant = 'one'; return 1; end $$`,
    `create procedure keep_by_a_call() language plpgsql as $$ begin set app.tenant = 'one'; end $$`,
    ...(postgresVersion >= 14
      ? [
          `create function atomic_keep() returns text language sql
            begin atomic select set_config('app.tenant', 'one', false); end`,
        ]
      : []),
    'create table watched (id int)',
    `create function keep_by_a_trigger() returns trigger language plpgsql as
      $$ begin perform set_config('app.tenant', 'one', false); return null; end $$`,
    `create trigger keeps after insert on watched for each row execute function keep_by_a_trigger()`,
    `create function quiet() returns int language plpgsql as
      $$ begin perform set_config('app.tenant', 'one', true); update item set name = 'x'; return 1; end $$`,
  ],
})
let replica: PostgresNode
let own: pg.Pool
let pool: PrimaryReplicaPool

beforeAll(() => {
  ;[replica] = cluster.replicas as [PostgresNode]
})

const single = (config: pg.PoolConfig = {}) =>
  new pg.Pool({ connectionString: cluster.primary.connectionString, max: 1, ...config })

async function openOver(primary: pg.Pool): Promise<PrimaryReplicaPool> {
  const opened = new PrimaryReplicaPool({ primary, replicas: [replica.connectionString] })
  atEnd(() => opened.end())
  await opened.ready()
  // What functions leave in a session is known by then.
  await expect
    .poll(
      async () => {
        const request = openRequest()
        await request.run(() => opened.query('delete from public.item where id = -1'))
        return request.memory.wroteTo
      },
      { timeout: 20_000 },
    )
    .toBeUndefined()
  return opened
}

beforeEach(async () => {
  own = single()
  pool = await openOver(own)
})

/** One setting of a session of the primary's, and which session that is. */
async function settingOn(on: Pick<pg.Pool, 'query'>, name = 'app.tenant') {
  const text = `select nullif(current_setting('${name}', true), '') as it, pg_backend_pid() as pid`
  return await usePrimary(async () => (await on.query<{ it: string | null; pid: number }>(text)).rows[0])
}

/** Has a client of its own run these on the primary. */
const withClient = (...texts: (string | pg.QueryConfig)[]) =>
  usePrimary(async () => {
    const client = await pool.connect()
    for (const text of texts) await client.query(text).catch(() => {})
    client.release()
  })

describe('the session of a client that has set something', () => {
  const FOLLOWED: Record<string, (string | pg.QueryConfig)[]> = {
    'by a statement': ["set app.tenant = 'one'"],
    'by several': ["set app.tenant = 'one'; set timezone to utc"],
    'by a call': [{ text: 'select set_config($1, $2, $3)', values: ['app.tenant', 'one', false] }],
    'in a transaction': ['begin', "set app.tenant = 'one'", 'commit'],
    'in one that it leaves open': ['begin', "set app.tenant = 'one'"],
    'in one that fails': ['begin', "set app.tenant = 'one'", 'select 1 / 0', 'commit'],
    'before it fails': ["set app.tenant = 'one'", 'select 1 / 0'],
  }
  test.each(Object.entries(FOLLOWED))('%s, is as if it had not for others', async (_how, texts) => {
    await withClient(...texts)
    expect(await settingOn(pool)).toMatchObject({ it: null })
    await withClient(...texts)
    // Whoever uses the pool of the node by itself is another client as well.
    expect(await settingOn(own)).toMatchObject({ it: null })
  })

  test('is used again', async () => {
    const before = await settingOn(pool)
    await withClient("set app.tenant = 'one'")
    expect(await settingOn(pool)).toEqual(before)
  })

  const NOT_FOLLOWED: Record<string, (string | pg.QueryConfig)[]> = {
    'by one of several statements': ["select 1; set app.tenant = 'one'"],
    'in a transaction that is one text': ["begin; set app.tenant = 'one'; commit"],
    'by what was read': ["select set_config('app.tenant', relname, false) from pg_class limit 1"],
    'by a call within another': ["select length(set_config('app.tenant', 'one', false))"],
    'by a block': ["do $$ begin perform set_config('app.tenant', 'one', false); end $$"],
    'by a block that is a statement': ["do 'begin set app.tenant = 1; end'"],
    'by a value that is no text': [
      { text: 'select set_config($1, $2, false)', values: ['app.tenant', { a: 1 }] },
    ],
    'by a function': ["select keep('one')"],
    'by one that calls it': ["select keep_by_another('one')"],
    'by a statement in one': ['select keep_by_a_statement()'],
    ...(postgresVersion >= 14 && { 'by a function whose body is kept as a tree': ['select atomic_keep()'] }),
    'by a procedure': ['call keep_by_a_call()'],
    'by a function, among several statements': ["delete from item; select keep_by_another('one')"],
    'by a function, in an insert': ["insert into item (name) values (keep('one'))"],
    'by a trigger': ['INSERT INTO Watched VALUES (1)'],
    'by a block with a comment in it': ["do $$ begin /* x */ set app.tenant = 'one'; end $$"],
    'by a text that a block puts together': ["do $$ begin execute 'se' || 't app.tenant = 1'; end $$"],
    'for as long as nobody knows': ["select set_config('app.tenant', 'one', not true)"],
  }
  test.each(Object.entries(NOT_FOLLOWED))('%s, is closed', async (_how, texts) => {
    const before = await settingOn(pool)
    await withClient(...texts)
    const after = await settingOn(pool)
    expect(after).toMatchObject({ it: null })
    expect(after?.pid).not.toBe(before?.pid)
  })

  test('and cannot be set so again elsewhere, stays its own', async () => {
    await usePrimary(async () => {
      const client = await pool.connect()
      await client.query("select 1; set app.tenant = 'one'")
      expect(await settingOn(client)).toMatchObject({ it: 'one' })
      client.release()
    })
  })

  test.each([
    "set local app.tenant = 'one'",
    "select set_config('app.tenant', 'one', true)",
    'select quiet()',
  ])('for one transaction is used again: %s', async (text) => {
    const before = await settingOn(pool)
    await withClient('begin', text, 'commit')
    expect(await settingOn(pool)).toEqual(before)
  })
})

describe('what the application has set by itself as a session began', () => {
  test.each([
    ["set app.tenant = 'all'", 'app.tenant', 'all'],
    ["set time zone 'Asia/Tokyo'", 'timezone', 'Asia/Tokyo'],
    ["set search_path = pg_catalog; set app.tenant = 'all'", 'app.tenant', 'all'],
  ])('is there again: %s', async (text, name, value) => {
    const hooked = single()
    hooked.on('connect', (client) => client.query(text))
    pool = await openOver(hooked)
    expect(await settingOn(pool, name)).toMatchObject({ it: value })
    await withClient("set app.tenant = 'one'", "set time zone 'America/Lima'")
    expect(await settingOn(pool, name)).toMatchObject({ it: value })
    await withClient('reset all', 'reset app.tenant')
    expect(await settingOn(pool, name)).toMatchObject({ it: value })
  })

  test('is there again in a new session, where nobody can tell what it was', async () => {
    const hooked = single()
    hooked.on('connect', (client) => client.query("select 1; set app.tenant = 'all'"))
    pool = await openOver(hooked)
    const before = await settingOn(pool)
    expect(before).toMatchObject({ it: 'all' })
    await withClient("set app.tenant = 'one'")
    const after = await settingOn(pool)
    expect(after).toMatchObject({ it: 'all' })
    expect(after?.pid).not.toBe(before?.pid)
  })

  test('is there again under Kysely, by its hooks', async () => {
    const db = open({
      primary: single(),
      onReserveConnection: async (connection) => {
        await connection.executeQuery(sql`select set_config('app.tenant', 'all', false)`.compile(db))
      },
    })
    const tenant = () =>
      usePrimary(async () => {
        const { rows } = await sql<{ it: string }>`select current_setting('app.tenant') as it`.execute(db)
        return rows[0]?.it
      })
    expect(await tenant()).toBe('all')
    await usePrimary(() => db.connection().execute((on) => sql`set app.tenant = 'one'`.execute(on)))
    expect(await tenant()).toBe('all')
  })
})

describe('a client', () => {
  test('whose session is busy with what nobody waits for waits for its turn', async () => {
    const client = new pool.driver.Client()
    await client.connect()
    await usePrimary(() => client.query("set app.tenant = 'one'"))
    await settingOn(pool)
    const lent = await own.connect()
    const busy = lent.query('select pg_sleep(0.05)')
    lent.release()
    expect(await settingOn(client)).toMatchObject({ it: 'one' })
    await busy
    expect(await settingOn(pool)).toMatchObject({ it: null })
    await client.end()
  })

  test('sets in a read-only transaction what follows it, and leaves the replica’s session as it was', async () => {
    const at = (on: Pick<pg.Pool, 'query'>) =>
      useReplica(async () => {
        const { rows } = await on.query("select nullif(current_setting('app.tenant', true), '') as it")
        return rows[0]?.it
      })
    const client = new pool.driver.Client()
    await client.connect()
    await inRequest(async () => {
      await client.query('begin read only')
      await client.query("set app.tenant = 'one'")
      await client.query('select 1')
      await client.query('commit')
    })
    expect(await at(client)).toBe('one')
    expect(await settingOn(client)).toMatchObject({ it: 'one' })
    expect(await at(pool)).toBe(null)
    await client.end()
  })
})
