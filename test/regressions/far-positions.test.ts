import { beforeEach, expect, test, vi } from 'vitest'
import { heldBy, pinOfAgent } from '../support/exact.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// A primary that is far away: a position is read well within the 250 ms that a response waits for it, but not where it has to be connected
// to first.
const { cluster, watch, serveShop, atEnd } = useShop({ isOfEachTest: true })
let proxy: TcpProxy

beforeEach(async () => {
  proxy = await TcpProxy.start(cluster.primary)
  atEnd(() => proxy.stop())
  // Each way.
  proxy.slow(50)
})

async function open(): Promise<() => Promise<unknown>> {
  const watched = await watch({ primary: proxy.connectionString }, { counts: false })
  const { openAgent } = await serveShop(watched.db)
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
