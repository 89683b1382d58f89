import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { startShop } from '../support/cluster.ts'
import { heldBy, pinOfAgent, serveShop } from '../support/exact.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { Watched } from '../support/watched.ts'

// A primary that is far away: a position is read well within the 250 ms that a response waits for it, but not where it has to be connected
// to first.
let cluster: PostgresCluster
let proxy: TcpProxy
let watched: Watched

beforeEach(async () => {
  cluster = await startShop(1)
  proxy = await TcpProxy.start(cluster.primary)
  // Each way.
  proxy.slow(50)
})

afterEach(async () => {
  await watched.close()
  await proxy.stop()
  await cluster.stop()
})

async function open(): Promise<() => Promise<unknown>> {
  watched = await Watched.open(cluster, { primary: proxy.connectionString }, { counts: false })
  const { app, openAgent } = await serveShop(watched.db)
  const close = watched.close.bind(watched)
  watched.close = async () => {
    await app.close()
    await close()
  }
  return async () => {
    const agent = openAgent()
    await agent.post('/items/thing')
    return typeof heldBy(await pinOfAgent(agent))
  }
}

test('the pins of what is written there are exact as soon as the connection that reads positions stands', async () => {
  const write = await open()
  await vi.waitFor(async () => expect(await write()).toBe('bigint'), { timeout: 10_000, interval: 20 })
})
