import pg from 'pg'
import { expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { useCluster } from '../support/shop.ts'

const { cluster, atEnd } = useCluster({ replicas: 1, sql: 'create role teller' })

test('who cancels what is laid ahead of a statement has cancelled that statement', async () => {
  const { primary, replicas } = cluster
  const [replica = primary] = replicas
  const pool = new PrimaryReplicaPool({
    primary: { connectionString: primary.connectionString, max: 1 },
    replicas: [{ connectionString: replica.connectionString, max: 1 }],
  })
  atEnd(() => pool.end())
  await pool.ready()
  await expect.poll(() => pool.status().nodes.every(({ isFit }) => isFit)).toBe(true)
  const client = new pool.driver.Client()
  await client.connect()
  atEnd(() => client.end())
  await useReplica(() => client.query('select 1'))
  await usePrimary(() => client.query('set role teller'))
  // Its own connections are made before nobody can log in any more.
  await replica.query('select 1')
  const other = new pg.Client({ connectionString: primary.connectionString })
  await other.connect()
  atEnd(() => other.end())
  // The session on the replica has to look the role up there, and waits.
  await primary.query('begin')
  await primary.query('lock table pg_catalog.pg_authid in access exclusive mode')
  atEnd(() => primary.query('rollback'))
  const isLocked = "select from pg_locks where relation = 1260 and mode = 'AccessExclusiveLock'"
  // A commit flushes the lock's WAL, which has no commit of its own yet.
  await other.query("select pg_logical_emit_message(true, 'flushed', '')")
  await expect.poll(() => replica.query(isLocked), { timeout: 8_000 }).toHaveLength(1)
  await cluster.waitForCatchup()
  const reading = useReplica(() => client.query('select current_user as it'))
  reading.catch(() => {})
  const waiting = "from pg_stat_get_activity(null) where wait_event_type = 'Lock'"
  await expect.poll(() => replica.query(`select pid ${waiting}`)).toHaveLength(1)
  await replica.query(`select pg_cancel_backend(pid) ${waiting}`)
  await expect(reading).rejects.toMatchObject({ code: '57014' })
  await primary.query('rollback')
  const { rows } = await useReplica(() =>
    client.query('select current_user as it, pg_is_in_recovery() as on_replica'),
  )
  expect(rows).toEqual([{ it: 'teller', on_replica: true }])
})
