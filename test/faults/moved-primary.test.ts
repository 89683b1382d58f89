import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, writesOf } from '../support/load.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { cutReceiver, follow } from '../support/walreceiver.ts'
import { Watched, watchedPool } from '../support/watched.ts'

// The primary's address leads to another server: a load balancer or a DNS name follows a failover. The last writes of
// the old primary are lost.
const { cluster } = useShop({ replicas: 2 })
let proxy: TcpProxy

beforeAll(async () => {
  proxy = await TcpProxy.start(cluster.primary)
})

afterAll(() => proxy.stop())

test('where the primary’s address moves to a promoted server, behind what the old one had written, its replica is not late', async () => {
  const [next, replica] = cluster.replicas as [PostgresNode, PostgresNode]
  const watched = await Watched.open(cluster, {
    primary: proxy.connectionString,
    replicas: [{ name: 'reader', pool: watchedPool(replica) }],
    maxLagMs: 1_000,
  })
  const positionOf = (index: number) => watched.dialect.status().nodes[index]?.position
  await Promise.all(cluster.replicas.map(cutReceiver))
  await cluster.primary.query("insert into item (name) select 'lost' from generate_series(1, 20000)")
  // The watcher has seen the writes that will be lost, and finds that its replica does not reach them.
  await watched.changed('reader', 'unfit', 0)
  const before = positionOf(0)
  await cluster.primary.kill()
  await next.promote()
  proxy.targets = [next]
  proxy.cut()
  await follow(replica, next)
  const movedMs = performance.now()
  await writesOf(watched.db)()
  await expect.poll(() => positionOf(0), { timeout: 5_000 }).not.toBe(before)
  await watched.changed('reader', 'fit', movedMs, 10_000)
  expect(await readsOf(cluster, watched.db)()).toBe('replica-2')
  await cluster.primary.start()
  await watched.close()
})
