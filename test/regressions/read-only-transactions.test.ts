import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { Database } from '../support/cluster.ts'
import { inRequest, whenCatalogIsRead } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// A read-only transaction is bound to a node by its first statement, and not by its BEGIN.
const OPTIONS = { primaryTables: ['listed'], primaryFunctions: ['named'] }
const shop = useShop({
  replicas: 2,
  sql: [
    `create unlogged table counter (id int); create table part (id int) partition by range (id);
     create unlogged table part_1 partition of part for values from (0) to (10)`,
    'create table listed (id int); create function named() returns int language sql stable as $$ select 1 $$',
    "insert into item (name) values ('first')",
  ],
  dialect: OPTIONS,
})
const { cluster } = shop
let pool: PrimaryReplicaPool

beforeAll(async () => {
  const [primary, ...replicas] = cluster.nodes.map(({ connectionString }) => connectionString)
  pool = new PrimaryReplicaPool({ ...OPTIONS, primary, replicas })
  await pool.ready()
  await inRequest(() => whenCatalogIsRead(shop.db))
  // The pool has a catalog of its own.
  await vi.waitFor(
    async () =>
      expect(await rolesOf(() => inRequest(() => pool.query('select * from counter')))).toEqual(['primary']),
    { timeout: 20_000 },
  )
})

afterAll(() => pool.end())

/** Sends a text, with values or without. */
type Send = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>

const rolesOf = async (fn: () => unknown) => (await routesOf(fn)).map(({ role }) => role)

/** Runs `work` in a read-only transaction that is committed after it. */
const CLIENTS: Readonly<
  Record<string, (work: (send: Send) => Promise<void>, modes?: string) => Promise<void>>
> = {
  'Kysely’s transaction()': (work) =>
    shop.db
      .transaction()
      .setAccessMode('read only')
      .execute((trx) => work(sendingBy(trx))),
  'Kysely’s startTransaction()': async (work) => {
    const trx = await shop.db.startTransaction().setAccessMode('read only').execute()
    try {
      await work(sendingBy(trx))
    } catch (error) {
      await trx.rollback().execute()
      throw error
    }
    await trx.commit().execute()
  },
  'a raw begin': (work) => inRaw('begin read only', work),
  'a raw start transaction': (work) =>
    inRaw('start transaction isolation level repeatable read, read only', work),
}

function sendingBy(on: Kysely<Database>): Send {
  return async (text) => (await sql.raw<Record<string, unknown>>(text).execute(on)).rows
}

async function inRaw(begin: string, work: (send: Send) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query(begin)
    await work(async (text, values) => (await client.query(text, values)).rows)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

const IS_REPLICA = 'select pg_is_in_recovery() as it'

describe.each(Object.entries(CLIENTS))('%s', (_name, inTransaction) => {
  const works = [
    'select * from counter',
    'select * from part',
    "select pg_notify('c', 'x')",
    "notify c, 'x'",
    'listen c',
    'unlisten *',
    'select txid_current()',
    'select pg_current_xact_id()',
    'lock table item in access exclusive mode',
    'select pg_current_wal_lsn()',
    'select * from listed',
    'select named()',
    'select pg_try_advisory_xact_lock(9)',
    'set transaction isolation level serializable',
    'set transaction read write',
    'set local transaction_read_only = off',
    'declare c cursor for select * from counter',
  ]
  test.each(works)('that begins with %s runs on the primary', async (text) => {
    const roles = await rolesOf(() =>
      inRequest(() =>
        inTransaction(async (send) => {
          await send(text)
          expect(await send(IS_REPLICA)).toEqual([{ it: false }])
        }),
      ),
    )
    expect(roles.at(-1)).toBe('primary')
  })

  const stays = [
    'select * from item',
    "set local statement_timeout = '5s'",
    "set statement_timeout = '5s'",
    "select set_config('app.user', '7', true)",
    'savepoint a',
    'show all',
    'explain select * from item',
    'declare c cursor for select * from item',
    'set transaction isolation level read committed',
  ]
  test.each(stays)('that begins with %s stays on a replica', async (text) => {
    const roles = await rolesOf(() =>
      inRequest(() =>
        inTransaction(async (send) => {
          await send(text)
          expect(await send(IS_REPLICA)).toEqual([{ it: true }])
        }),
      ),
    )
    expect(new Set(roles)).toEqual(new Set(['replica']))
  })
})
