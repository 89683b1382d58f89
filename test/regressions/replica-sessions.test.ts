import { type Kysely, sql } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useNode, useReplica } from 'write-pinning'
import { toReplica } from 'write-pinning/kysely'
import { PrimaryReplicaPool, toReplica as toReplicaByPg } from 'write-pinning/pg'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { inRequest, whenCatalogIsRead } from '../support/request.ts'
import { namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

// What one request has a replica's session keep is not there for the next one.
const { cluster, open, atEnd } = useShop({
  sql: `create function keep(x text) returns text language plpgsql as
          $$ begin perform set_config('app.tenant', x, false); return x; end $$;
        create function lock(x int) returns int language plpgsql as
          $$ begin perform pg_advisory_lock(x); return x; end $$;
        create function lock_and_fail(x int) returns int language plpgsql as
          $$ begin perform pg_advisory_lock(x); return 1 / 0; end $$`,
})
let replica: PostgresNode
let db: Kysely<Database>

beforeAll(() => {
  ;[replica] = cluster.replicas as [PostgresNode]
})

beforeEach(async () => {
  // One session, which every request finds.
  db = open({ replicas: [namedPool(replica, 'single', { max: 1 })] })
  await inRequest(() => whenCatalogIsRead(db))
})

interface Left {
  readonly pid: number
  readonly tenant: string | null
  readonly locks: number
}

/** What the session of the replica holds, as the next request finds it. */
async function left(on = db): Promise<Left> {
  const { rows } = await inRequest(() =>
    sql<Left>`select pg_backend_pid() as pid, nullif(current_setting('app.tenant', true), '') as tenant,
      (select count(*)::int from pg_locks where locktype = 'advisory') as locks`.execute(on),
  )
  return rows[0] as Left
}

const NOTHING = { tenant: null, locks: 0 }

/** Runs texts in a read-only transaction on the replica. */
const readOnly = (...texts: string[]) =>
  inRequest(() =>
    db
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        await trx.selectFrom('item').select('id').execute()
        for (const text of texts) await sql.raw(text).execute(trx)
        const { rows } = await sql<{ it: boolean }>`select pg_is_in_recovery() as it`.execute(trx)
        expect(rows).toEqual([{ it: true }])
      }),
  )

describe('is closed', () => {
  const CLOSED: Record<string, () => Promise<unknown>> = {
    'by set_config() of which nobody knows how long it lasts': () =>
      readOnly("select set_config('app.tenant', 'a', not true)"),
    'by two of which one lasts': () =>
      readOnly("select set_config('app.other', set_config('app.tenant', 'a', false), true)"),
    'by one beside a read': () =>
      readOnly("select set_config('app.tenant', 'a', false) from pg_class limit 1"),
    'by a prepared statement': () => readOnly('prepare p as select 1'),
    'by a cursor that is held': () => readOnly('declare c cursor with hold for select 1'),
    'by a function that sets': () => readOnly("select keep('a')"),
    'by a function that locks': () => readOnly('select lock(9)'),
    'by a function that locks and fails': () =>
      expect(readOnly('select lock_and_fail(9)')).rejects.toMatchObject({ code: '22012' }),
    'by a block that locks': () => readOnly('do $$ begin perform pg_advisory_lock(9); end $$'),
    'by one of several statements': () => readOnly("select 1; select set_config('app.tenant', 'a', false)"),
    'by a marked function': () => inRequest(() => toReplica(sql`select keep('a')`).execute(db)),
    'by a function in useNode()': () => useNode('replica-1', () => sql`select lock(9)`.execute(db)),
    'by a lock in a transaction in useNode()': () =>
      useNode('replica-1', () =>
        db
          .transaction()
          .setAccessMode('read only')
          .execute((trx) => sql`select pg_advisory_lock(9)`.execute(trx)),
      ),
  }
  test.each(Object.entries(CLOSED))('%s', async (_name, keep) => {
    const before = await left()
    await keep()
    const after = await left()
    expect(after).toMatchObject(NOTHING)
    expect(after.pid).not.toBe(before.pid)
  })

  test('by what a pool’s client leaves there', async () => {
    const pool = new PrimaryReplicaPool({
      primary: cluster.primary.connectionString,
      replicas: [namedPool(replica, 'single', { max: 1 })],
    })
    atEnd(() => pool.end())
    await pool.ready()
    const tenant = () =>
      inRequest(async () => {
        const { rows } = await pool.query("select nullif(current_setting('app.tenant', true), '') as it")
        return rows[0]?.it
      })
    await inRequest(async () => {
      const client = await pool.connect()
      await client.query('begin read only')
      await client.query("select set_config('app.tenant', $1, $2)", ['a', false])
      await client.query('commit')
      client.release()
    })
    expect(await tenant()).toBe(null)
    await inRequest(() => pool.query(toReplicaByPg("select keep('a')")))
    expect(await tenant()).toBe(null)
  })
})

describe('is set back, and lent on,', () => {
  const SET: Record<string, () => Promise<unknown>> = {
    'after a setting of the session in a read-only transaction': () => readOnly("set app.tenant = 'a'"),
    'after one in useReplica()': () => useReplica(() => readOnly("set session app.tenant to 'a'")),
    'after set_config() that lasts': () => readOnly("select set_config('app.tenant', 'a', false)"),
    'after a setting as the first statement': () =>
      inRequest(() =>
        db
          .transaction()
          .setAccessMode('read only')
          .execute((trx) => sql`set app.tenant = 'a'`.execute(trx)),
      ),
    'after characteristics of later transactions': () =>
      readOnly('set session characteristics as transaction isolation level repeatable read'),
    'after a setting in useNode()': () => useNode('replica-1', () => sql`set app.tenant = 'a'`.execute(db)),
  }
  test.each(Object.entries(SET))('%s', async (_name, set) => {
    const before = await left()
    await set()
    expect(await left()).toEqual({ ...NOTHING, pid: before.pid })
  })
})

describe('is lent on', () => {
  const LENT: Record<string, string[]> = {
    'after reads': ['select count(*) from item'],
    'after settings of the transaction': ["set local app.tenant = 'a'", 'set constraints all deferred'],
    'after set_config() that ends with it': ["select set_config('app.tenant', 'a', true)"],
    'after savepoints': ['savepoint a', 'rollback to a', 'release a'],
    'after cursors': ['declare c cursor for select 1', 'fetch all from c', 'close c'],
  }
  test.each(Object.entries(LENT))('%s', async (_name, texts) => {
    const before = await left()
    await readOnly(...texts)
    expect(await left()).toEqual({ ...NOTHING, pid: before.pid })
  })
})
