import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { askForPassword } from '../support/password.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Watched } from '../support/watched.ts'

// A primary that is far away: each answer comes within `probeTimeoutMs`, and connecting within `connectTimeoutMs`, but not both together
// within the first of them.
const { cluster, watch, atEnd } = useShop()
let proxy: TcpProxy
let watched: Watched

beforeEach(async () => {
  proxy = await TcpProxy.start(cluster.primary)
  atEnd(() => proxy.stop())
})

afterEach(() => proxy.forward())

const WAIT = { timeout: 20_000, interval: 10 }
/** A way to the server and back takes twice as long. */
const FAR_MS = 150

const open = async () => {
  watched = await watch({ primary: proxy.connectionString }, { counts: false })
}
const write = () => inRequest(() => watched.db.insertInto('item').values({ name: 'x' }).execute())
const watcherOf = async (node: PostgresCluster['primary']) =>
  await node.query<{ pid: number }>(
    "select pid from pg_stat_activity where application_name = 'write-pinning' and query like '%pg_current_wal_flush_lsn%' and pid <> pg_backend_pid()",
  )

test('a primary that is far away from the start on is watched, takes writes, and its replica is fit', async () => {
  proxy.slow(FAR_MS)
  const sinceMs = performance.now()
  await open()
  await watched.changed('primary', 'up', sinceMs)
  await write()
  await watched.untilEligible('replica-1')
  expect(watched.changesOf('primary')).not.toContain('down')
})

test('connecting to it may take as long as its pool lets it', async () => {
  await cluster.primary.query("create role app login password 'secret'; grant all on item to app")
  await cluster.primary.query('grant usage on sequence item_id_seq to app')
  await cluster.waitForCatchup()
  await askForPassword(cluster.primary, 'app')
  proxy.slow(FAR_MS)
  const sinceMs = performance.now()
  // With a password it is two ways there and back, which is more than a probe's time.
  watched = await watch(
    {
      primary: {
        ...{ host: '127.0.0.1', port: proxy.port, database: 'test', user: 'app', password: 'secret' },
        connectionTimeoutMillis: 5_000,
      },
      connectTimeoutMs: 100,
    },
    { counts: false },
  )
  await watched.changed('primary', 'up', sinceMs)
  await write()
})

test('a primary that is far away and to which one session is lost stays up', async () => {
  await open()
  await watched.untilEligible('replica-1')
  await write()
  const [before] = await watcherOf(cluster.primary)
  proxy.slow(FAR_MS)
  await cluster.primary.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and application_name not like 'write-pinning%'",
  )
  // The next statement hears of it, and may be the one that was lost.
  await write().catch(() => {})
  // It is looked at over a new connection, which takes the place of the old one as soon as it answers.
  await vi.waitFor(async () => {
    const [now, ...others] = await watcherOf(cluster.primary)
    expect(now).toBeDefined()
    expect(now).not.toEqual(before)
    expect(others).toEqual([])
  }, WAIT)
  await write()
  expect(watched.changesOf('primary')).not.toContain('down')
})
