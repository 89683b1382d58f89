import { beforeAll, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { startReaderEndpoint } from '../support/haproxy.ts'
import { type Load, readsOf, startLoad } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// One address for several replicas, as Aurora's reader endpoint is. The service cannot choose among them, but it can
// keep its connections from staying on one replica for ever.
const { cluster } = useShop({ replicas: 2 })
let first: PostgresNode
let second: PostgresNode

beforeAll(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

const WAIT = { timeout: 20_000, interval: 10 }

const serves = (load: Load<string>, name: string, fromMs: number) =>
  vi.waitFor(() => expect(load.soFar().servedBy(fromMs)).toHaveProperty([name]), WAIT)

test('a server that is added gets connections within their lifetime, and one that is taken away loses them', async () => {
  await using endpoint = await startReaderEndpoint([first])
  const reader = { pool: endpoint.connectionString, loadBalanced: true, maxLifetimeSeconds: 2 }
  await using watched = await Watched.open(cluster, { replicas: [reader] })
  await watched.untilEligible('replica-1')
  const reads = startLoad(readsOf(cluster, watched.db))
  await more(reads, 200)
  await endpoint.addServer(second)
  const addedMs = reads.nowMs()
  await serves(reads, second.name, addedMs)
  const servedAfterMs = reads.nowMs() - addedMs
  await endpoint.removeServer(first)
  const removedMs = reads.nowMs()
  await vi.waitFor(() => {
    const lastSecond = reads.soFar().servedBy(reads.nowMs() - 500)
    expect(Object.keys(lastSecond)).toEqual([second.name])
  }, WAIT)
  const goneAfterMs = reads.nowMs() - removedMs
  const report = await reads.stop()
  expect(report.failures().map(String)).toEqual([])
  expect(servedAfterMs).toBeLessThan(3_000)
  expect(goneAfterMs).toBeLessThan(4_000)
})

test('a server that is killed behind the endpoint fails no read', async () => {
  await using endpoint = await startReaderEndpoint([first, second])
  const reader = { pool: endpoint.connectionString, loadBalanced: true, maxLifetimeSeconds: 2 }
  await using watched = await Watched.open(cluster, { replicas: [reader] })
  await watched.untilEligible('replica-1')
  const reads = startLoad(readsOf(cluster, watched.db))
  await more(reads, 200)
  await first.kill()
  await more(reads, 600)
  await endpoint.removeServer(first)
  await watched.untilEligible('replica-1')
  await more(reads, 300)
  const report = await reads.stop()
  await first.start()
  expect(report.failures().map(String)).toEqual([])
  // HAProxy accepts the connection and says nothing. Connecting ends after `connectTimeoutMs`, and the primary
  // serves.
  expect(report.slowestMs).toBeLessThan(4_000)
})
