import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { useShop } from '../support/shop.ts'
import { type Watched, watchedPool } from '../support/watched.ts'

// The primary is down when the process starts, with `failover`, and what is configured as its replica is of another cluster.
const { cluster, watch } = useShop({ replicas: 0, isOfEachTest: true })
const { cluster: other } = useShop({ isOfEachTest: true })
let watched: Watched

beforeEach(() => cluster.primary.kill())

async function open(replica: PostgresNode): Promise<void> {
  const replicas = [watchedPool(replica)]
  watched = await watch({ replicas, failover: true, probeIntervalMs: 50 }, { counts: false })
}

const add = () => watched.db.insertInto('item').values({ name: 'order' }).execute()

async function countIn(node: PostgresNode): Promise<string | undefined> {
  return (await node.query<{ count: string }>('select count(*) from item'))[0]?.count
}

describe('a server of another cluster', () => {
  test('that was never promoted is no primary of this one', async () => {
    await open(other.primary)
    await expect(add()).rejects.toThrow(/ECONNREFUSED/)
    await cluster.primary.start()
    await vi.waitFor(() => expect(watched.node('replica-1').because).toBe('not-in-recovery'), 5_000)
    await add()
    expect([await countIn(cluster.primary), await countIn(other.primary)]).toEqual(['1', '0'])
  })

  test('that was promoted is none any more as soon as the primary is seen', async () => {
    const promoted = other.replicas[0] as PostgresNode
    await promoted.promote()
    await open(promoted)
    await cluster.primary.start()
    await vi.waitFor(() => expect(watched.node('primary').role).toBe('primary'), 5_000)
    await vi.waitFor(() => expect(watched.node('replica-1').because).toBe('not-in-recovery'), 5_000)
    await add()
    expect([await countIn(cluster.primary), await countIn(promoted)]).toEqual(['1', '0'])
  })
})
