import { beforeAll, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { openDatabase } from '../support/cluster.ts'
import { seesOn, serveShop } from '../support/exact.ts'
import { startLoad } from '../support/load.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { useShop } from '../support/shop.ts'

// Behind PgBouncer, nobody hears that a replica has crashed: its clients' connections stay open, and recovery in
// place keeps the server's start time. The replica comes up behind where it was.
// With these settings, hardly anything that was replayed is on disk at the crash. So the replica has to replay a
// second's work again.
const settings = { max_wal_size: '4GB', shared_buffers: '512MB', bgwriter_lru_maxpages: 0 }
const { cluster } = useShop({ settings, sql: 'create index on item (name)' })
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
})

test.each([1, 2, 3])('a user reads their own write while the replica crashes (round %i)', async (round) => {
  await using bouncer = await startPgBouncer(replica, {
    ignore_startup_parameters: 'options',
    server_login_retry: 0,
  })
  const db = openDatabase(cluster, { replicas: [bouncer.connectionString] })
  const { app, openAgent } = await serveShop(db, { pinningSeconds: 60 })
  const agent = openAgent()
  await vi.waitFor(async () => expect((await seesOn(openAgent(), 'x'))[1]).toBe('replica-1'), 10_000)
  for (let chunk = 0; chunk < 50; chunk++) {
    await cluster.primary.query(
      'insert into item (name) select md5(i::text || random()) from generate_series(1, 8000) as i',
    )
  }
  const own = `own-${round}`
  await agent.post(`/items/${own}`)
  await cluster.waitForCatchup()
  await vi.waitFor(async () => expect(await seesOn(agent, own)).toEqual([true, 'replica-1']), 10_000)

  const [{ pid } = { pid: 0 }] = await replica.query<{ pid: number }>('select pg_backend_pid() as pid')
  process.kill(pid, 'SIGKILL')
  await vi.waitFor(() => replica.query('select 1'), { timeout: 60_000, interval: 10 })
  // Nobody has read since the crash, so nobody has noticed it.
  const reads = startLoad(async () => {
    const { body } = await agent.get(`/items/${own}`)
    return body
  })
  await cluster.waitForCatchup()
  await vi.waitFor(async () => expect(await seesOn(agent, own)).toEqual([true, 'replica-1']), 20_000)
  const report = await reads.stop()
  const counts = report.servedBy()
  console.info('what was read while it crashed:', counts)
  expect(report.failures()).toEqual([])
  expect(Object.keys(counts)).toEqual(['{"isThere":true}'])
  await app.close()
  await db.destroy()
})
