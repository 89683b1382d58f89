import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useNode } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { type Load, readsOf, startLoad } from '../support/load.ts'
import { more, servedAgain } from '../support/load-waits.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { type Watched, watchedPool } from '../support/watched.ts'

// A replica stops answering and does not say so: its process is stopped, or packets are dropped on the way. Meanwhile
// 200 reads per second go on, and a query of 10 s on the other replica.
const { cluster, watch } = useShop({ replicas: 2 })
let replica: PostgresNode
let proxy: TcpProxy
let watched: Watched
let load: Load<string>

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  proxy = await TcpProxy.start(replica)
})

beforeEach(async () => {
  const [, other] = cluster.replicas as [PostgresNode, PostgresNode]
  watched = await watch({ replicas: [proxy.connectionString, watchedPool(other)] })
  load = startLoad(readsOf(cluster, watched.db))
  await more(load)
})

afterAll(() => proxy.stop())

/** Runs a query of 10 s, and gives how long it took, in ms. */
async function queryFor10s(node: string): Promise<number> {
  const startMs = performance.now()
  await useNode(node, () => sql`select pg_sleep(10)`.execute(watched.db))
  return performance.now() - startMs
}

const faults = [
  {
    what: 'is frozen',
    make: () => replica.freeze(),
    heal: () => replica.thaw(),
  },
  {
    what: 'is behind a black hole in which connects end',
    make: () => proxy.blackHole(),
    heal: () => proxy.forward(),
  },
  {
    what: 'is behind a black hole in which connects do not end',
    make: () => proxy.blackHole({ connects: 'unanswered' }),
    heal: () => proxy.forward(),
  },
]

describe('a replica', () => {
  for (const { what, make, heal } of faults) {
    test(`that ${what}: its reads are answered elsewhere within 2.5 s, and it serves within 2 s of answering again`, async () => {
      const sinceMs = performance.now()
      await make()
      await watched.changed('replica-1', 'down', sinceMs)
      const goneMs = load.nowMs()
      await more(load, 200)
      const healedMs = load.nowMs()
      await heal()
      const backMs = await servedAgain(load, 'replica-1')
      await more(load)
      const report = await load.stop()
      const gone = report.between(goneMs, healedMs)
      expect(report.failures()).toEqual([])
      expect(report.slowestMs).toBeLessThan(2_500)
      expect(gone.slowestMs).toBeLessThan(500)
      expect(gone.servedBy()).toEqual({ 'replica-2': gone.operations.length })
      expect(backMs).toBeLessThan(2_000)
      expect(watched.changesOf('replica-2')).not.toContain('down')
    })
  }

  test('that is frozen: read-only transactions that begin meanwhile run elsewhere, and none fails', async () => {
    await replica.freeze()
    const transactions = startLoad(
      () =>
        inRequest(() =>
          watched.db
            .transaction()
            .setAccessMode('read only')
            .execute((trx) => trx.selectFrom('item').selectAll().execute()),
        ),
      { perSecond: 100 },
    )
    await watched.changed('replica-1', 'down', 0)
    await more(transactions)
    const [reads, report] = [await load.stop(), await transactions.stop()]
    await replica.thaw()
    expect(reads.failures()).toEqual([])
    expect(report.failures()).toEqual([])
    expect(report.slowestMs).toBeLessThan(2_500)
    await watched.changed('replica-1', 'fit', 0)
  })

  test('that is frozen: a stream that has given rows fails within 2.5 s, and one that has not goes elsewhere', async () => {
    const countRows = async (onFirst: () => unknown) => {
      let count = 0
      const numbers = sql<{ n: number }>`generate_series(1, 2000)`.as<'numbers'>(sql`numbers(n)`)
      for await (const _ of watched.db.selectFrom(numbers).selectAll().stream(10)) {
        if (count++ === 0) await onFirst()
      }
      return count
    }
    const freshStreams: Promise<number>[] = []
    let frozenMs = 0
    const begun = useNode('replica-1', () =>
      countRows(async () => {
        await replica.freeze()
        frozenMs = performance.now()
        for (let i = 0; i < 8; i++) freshStreams.push(inRequest(() => countRows(() => {})))
      }),
    )
    await expect(begun).rejects.toThrow(/terminated|it does not answer/)
    expect(performance.now() - frozenMs).toBeLessThan(2_500)
    expect(await Promise.all(freshStreams)).toEqual(Array(8).fill(2_000))
    expect((await load.stop()).failures()).toEqual([])
    const thawedMs = performance.now()
    await replica.thaw()
    await watched.changed('replica-1', 'fit', thawedMs)
  })
})

test('a query of 10 s on the healthy replica is left alone, whatever the other one does', async () => {
  const longQuery = queryFor10s('replica-2')
  for (const { make, heal } of faults) {
    const sinceMs = performance.now()
    await make()
    await watched.changed('replica-1', 'down', sinceMs)
    await heal()
    await watched.changed('replica-1', 'fit', sinceMs)
  }
  const tookMs = await longQuery
  const report = await load.stop()
  expect(tookMs).toBeGreaterThan(10_000)
  expect(report.failures()).toEqual([])
  expect(watched.changesOf('replica-2')).not.toContain('down')
})
