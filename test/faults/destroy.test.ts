import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { useNode } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { useShop } from '../support/shop.ts'
import { expectNoClients, Watched } from '../support/watched.ts'

// A service ends while a server does not answer and statements wait for it. The statements end, and so does the
// service.
const { cluster } = useShop({ replicas: 2 })

/** Begins this many operations at once, and gives whether each was fulfilled or rejected. */
async function outcomesOf(count: number, operation: () => Promise<unknown>): Promise<string[]> {
  const all = await Promise.allSettled(Array.from({ length: count }, operation))
  return all.map(({ status }) => status)
}

describe('a database that is destroyed', () => {
  test('while more statements wait for a connection than there are ends when those have ended', async () => {
    const { db } = await Watched.open(cluster)
    const reading = outcomesOf(15, () => useNode('replica-1', () => sql`select pg_sleep(0.3)`.execute(db)))
    // Once this is answered, each of them has asked for its connection.
    await useNode('replica-2', () => sql`select 1`.execute(db))
    await db.destroy()
    expect(await reading).toHaveLength(15)
    await expectNoClients(cluster)
  })

  test('while a replica is frozen, with reads on it and before it is ejected, ends within 4 s', async () => {
    const replica = cluster.replicas[0] as PostgresNode
    const { db } = await Watched.open(cluster)
    await replica.freeze()
    const reading = outcomesOf(15, () => useNode('replica-1', () => sql`select 1`.execute(db)))
    await useNode('replica-2', () => sql`select 1`.execute(db))
    const sinceMs = performance.now()
    await db.destroy()
    // It takes 2.5 s until the replica is ejected, and 1 s until the connections are closed.
    expect(performance.now() - sinceMs).toBeLessThan(4_000)
    const outcomes = await reading
    await replica.thaw()
    expect(outcomes).toEqual(Array(15).fill('rejected'))
    await expectNoClients(cluster)
  })

  test('while the primary is frozen, with writes on it, ends when those are given up', async () => {
    const { db } = await Watched.open(cluster)
    const writes = startLoad(writesOf(db), { perSecond: 50 })
    const reads = startLoad(readsOf(cluster, db))
    await more(writes, 20)
    await cluster.primary.freeze()
    await more(reads, 20)
    const sinceMs = performance.now()
    const destroyed = db.destroy()
    const stopped = Promise.all([writes.stop(), reads.stop()])
    await destroyed
    expect(performance.now() - sinceMs).toBeLessThan(15_000)
    const [wrote] = await stopped
    await cluster.primary.thaw()
    expect(wrote.failures().length).toBeGreaterThan(0)
    expect(wrote.slowestMs).toBeLessThan(15_000)
    await expectNoClients(cluster)
  })
})
