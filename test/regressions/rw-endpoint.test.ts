import { beforeEach, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf } from '../support/load.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { follow } from '../support/walreceiver.ts'

// The primary stands behind an endpoint that leads to whoever is the primary, and `failover` is on: afterwards two nodes are one server.
const { cluster, watch, atEnd } = useShop({ replicas: 2, isOfEachTest: true })
let endpoint: TcpProxy

beforeEach(async () => {
  endpoint = await TcpProxy.start(cluster.primary)
  atEnd(() => endpoint.stop())
})

test('what is the primary under another name serves no reads while a replica is fit, and does where none is', async () => {
  const [first, second] = cluster.replicas as [PostgresNode, PostgresNode]
  const replicas = [first, second].map(({ name, connectionString }) => ({ name, pool: connectionString }))
  const primary = { name: 'endpoint', pool: endpoint.connectionString }
  const options = { failover: true, probeIntervalMs: 100, primary, replicas }
  const watched = await watch(options, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  await cluster.primary.kill()
  await first.promote()
  await follow(second, first)
  await vi.waitFor(() => expect(watched.node('replica-1').role).toBe('primary'), WAIT)
  endpoint.targets = [first]
  // What made it eligible before was about the old primary: it follows the new one once it is on its timeline.
  await vi.waitFor(() => expect(watched.node('replica-2').timeline).toBe(2), WAIT)
  await watched.untilEligible('endpoint', 'replica-2')
  const where = readsOf(cluster, watched.db)
  const served = await Promise.all(Array.from({ length: 40 }, where))
  expect(new Set(served)).toEqual(new Set(['replica-2']))
  await second.stop()
  await watched.untilUnfit('down', 'replica-2')
  expect(await where()).toBe('replica-1')
})

const WAIT = { timeout: 20_000, interval: 20 }
