import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { usePrimary } from 'write-pinning'
import {
  IS_REPLICA,
  isOnReplica,
  rolesOf,
  type Send,
  sendingBy,
  useReadOnlyShop,
} from '../support/read-only.ts'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'

// A read-only transaction is bound to a node by its first statement, and not by its BEGIN.
const { shop, pool, begun } = useReadOnlyShop()
const { cluster } = shop

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

async function inRaw(begin: string, work: (send: Send) => Promise<void>): Promise<void> {
  const client = await pool().connect()
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
    "select set_config('app.tenant', '7', true)",
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
test('where no replica is fit each takes one turn on the primary, and gives it back', async () => {
  const watched = await shop.watch(
    { primary: { connectionString: cluster.primary.connectionString, max: 2 } },
    { counts: false },
  )
  for (const { name } of cluster.replicas) watched.dialect.drain(name)
  const read = () => begun(async (trx) => expect(await isOnReplica(trx)).toBe(false), watched.db)
  await Promise.all(Array.from({ length: 5 }, read))
  await begun(async (trx) => {
    for (const { name } of cluster.replicas) watched.dialect.resume(name)
    await usePrimary(() => isOnReplica(trx))
  }, watched.db)
  // It has begun on a replica that serves nobody by then.
  await begun(async (trx) => {
    for (const { name } of cluster.replicas) watched.dialect.drain(name)
    expect(await isOnReplica(trx)).toBe(false)
  }, watched.db)
  await Promise.all(Array.from({ length: 5 }, read))
})

describe('a later statement that belongs to the primary fails, and says what to write', () => {
  const refused = {
    'an advisory lock': 'select pg_advisory_lock(9)',
    'one of the transaction': 'select pg_try_advisory_xact_lock(9)',
    'a lock of a table': 'lock table item in access share mode',
    'a channel': 'listen c',
    'a notification': 'notify c',
    'a function of the WAL': 'select pg_current_wal_lsn()',
    'what the server knows of transactions': 'select pg_current_snapshot()',
    'an unlogged table': 'select * from counter',
    'a parent of one': 'select * from part',
    'a table that is named': 'select * from listed',
    'a function that is named': 'select named()',
    'one of those beside a call that may write': 'select set_bit(lo_get(1), 1, 1), count from counter',
    'a cursor of one of them': 'declare c cursor for select * from listed',
  }
  test.each(Object.entries(refused))('%s is not sent', async (_name, text) => {
    await begun(async (trx) => {
      expect(await isOnReplica(trx)).toBe(true)
      const routes = await routesOf(() =>
        expect(sql.raw(text).execute(trx)).rejects.toMatchObject({
          code: 'ERR_WRITE_PINNING_ONLY_ON_PRIMARY',
          message: expect.stringMatching(/usePrimary\(\).*not sent|not sent.*usePrimary\(\)/),
        }),
      )
      expect(routes).toEqual([])
      // Nothing has failed on the server.
      expect(await isOnReplica(trx)).toBe(true)
    })
  })

  test.each(["select pg_notify('c', 'x')", 'select txid_current()'])(
    '%s is told why the server refused it',
    async (text) => {
      await begun(async (trx) => {
        await sql`savepoint here`.execute(trx)
        expect(await isOnReplica(trx)).toBe(true)
        await expect(sql.raw(text).execute(trx)).rejects.toMatchObject({
          code: 'ERR_WRITE_PINNING_ONLY_ON_PRIMARY',
          cause: expect.objectContaining({ severity: 'ERROR' }),
        })
      })
    },
  )

  test('what a read-only transaction refuses anywhere is the server’s to say', async () => {
    for (const text of [
      "select nextval('item_id_seq')",
      'delete from item',
      'select * from item for share',
    ]) {
      await begun(async (trx) => {
        expect(await isOnReplica(trx)).toBe(true)
        await expect(sql.raw(text).execute(trx)).rejects.toMatchObject({ code: '25006' })
      })
    }
  })
})
