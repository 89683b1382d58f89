import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { type Load, readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { Watched } from '../support/watched.ts'

// The primary is gone, and nothing takes its place. What only the primary can do fails in bounded time, and reads go
// on.
const { cluster } = useShop({ replicas: 2 })
let primary: PostgresNode
let proxy: TcpProxy
let watched: Watched
let reads: Load<string>

beforeAll(async () => {
  primary = cluster.primary
  proxy = await TcpProxy.start(primary)
})

beforeEach(async () => {
  watched = await Watched.open(cluster, { primary: proxy.connectionString })
  reads = startLoad(readsOf(cluster, watched.db))
  await more(reads)
})

afterAll(() => proxy.stop())

test("a primary that is killed fails writes with the server's error at once, and no read; it takes writes when it is back", async () => {
  const writes = startLoad(writesOf(watched.db), { perSecond: 50 })
  await more(writes, 20)
  const killedMs = writes.nowMs()
  await primary.kill()
  await proxy.refuse()
  await more(writes, 50)
  const backMs = writes.nowMs()
  await primary.start()
  await proxy.forward()
  const startedMs = writes.nowMs()
  await more(writes, 50)
  const [wrote, read] = [await writes.stop(), await reads.stop()]
  expect(wrote.between(0, killedMs - 100).failures()).toEqual([])
  expect(
    new Set(
      wrote
        .between(killedMs + 500, backMs)
        .failures()
        .map(codeOf),
    ),
  ).toEqual(new Set(['ECONNREFUSED']))
  expect(wrote.between(startedMs).failures()).toEqual([])
  expect(wrote.slowestMs).toBeLessThan(1_000)
  expect(read.failures()).toEqual([])
  expect(read.servedBy()).not.toHaveProperty('primary')
  await watched.close()
})

const codeOf = (error: unknown) => (error as { code?: string }).code

for (const { what, make, heal } of [
  { what: 'is frozen', make: () => primary.freeze(), heal: () => primary.thaw() },
  {
    what: 'is behind a black hole in which connects do not end',
    make: () => proxy.blackHole({ connects: 'unanswered' }),
    heal: () => proxy.forward(),
  },
]) {
  test(`a primary that ${what} keeps no write waiting for ever, and no read; it takes writes within 2 s of answering again`, async () => {
    const writes = startLoad(writesOf(watched.db), { perSecond: 50 })
    await more(writes, 20)
    const faultMs = writes.nowMs()
    const sinceMs = performance.now()
    await make()
    await watched.changed('primary', 'down', sinceMs)
    // Longer than anything waits for the primary.
    await more(reads, 3_000)
    const healedMs = writes.nowMs()
    const healedAtMs = performance.now()
    await heal()
    await watched.changed('primary', 'up', healedAtMs)
    const upMs = writes.nowMs()
    await more(writes, 50)
    const [wrote, read] = [await writes.stop(), await reads.stop()]
    const gone = wrote.between(faultMs, healedMs)
    expect(read.failures()).toEqual([])
    expect(read.slowestMs).toBeLessThan(1_000)
    // This holds only until the primary is back. After that, a replica that lacks its first write, even by a
    // millisecond, may count as late by the whole outage. Then the primary serves.
    expect(read.between(0, healedMs).servedBy()).not.toHaveProperty('primary')
    expect(upMs - healedMs).toBeLessThan(2_000)
    expect(gone.slowestMs).toBeLessThan(15_000)
    const codes = gone.failures().map(codeOf)
    expect(codes).toContain('ERR_WRITE_PINNING_NODE_UNAVAILABLE')
    expect(wrote.between(upMs).failures()).toEqual([])
    expect(wrote.between(upMs).slowestMs).toBeLessThan(1_000)
    await watched.close()
  })
}
