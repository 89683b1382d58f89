import { sql } from 'kysely'
import { beforeAll, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// The primary writes more than the replicas replay in time. All of them are late, one more than the other.
const { cluster, watch } = useShop({ replicas: 2 })
let watched: Watched

beforeAll(async () => {
  watched = await watch({ maxLagMs: 500, probeIntervalMs: 100 })
})

const lagOf = (name: string) => watched.dialect.status().nodes.find((node) => node.name === name)?.lagMs ?? 0

test('while a write storm makes every replica late, unpinned reads spill onto the least late one, and pinned ones are fresh', async () => {
  const { db } = watched
  const [late, later] = cluster.replicas as [PostgresNode, PostgresNode]
  await Promise.all([late.setApplyDelay(1_500), later.setApplyDelay(6_000)])
  const storm = startLoad(writesOf(db), { perSecond: 100 })
  await vi.waitFor(
    () => {
      expect(lagOf('replica-1')).toBeGreaterThan(500)
      expect(lagOf('replica-2')).toBeGreaterThan(2_500)
    },
    { timeout: 15_000 },
  )

  // These reads need 10 connections at the same time, and half of the primary's pool is 5.
  const read = sql<{ port: number }>`select inet_server_port() as port from pg_sleep(0.1)`
  const unpinned = () => inRequest(async () => (await read.execute(db)).rows[0]?.port)
  let count = 0
  /** Writes, and gives whether the user agent sees that write in its next request. */
  const pinned = async () => {
    const name = `pinned ${++count}`
    await inRequest(() => db.insertInto('item').values({ name }).execute())
    const next = openRequest({ pinnedUntilMs: Date.now() + 15_000 })
    const rows = await next.run(() => db.selectFrom('item').where('name', '=', name).selectAll().execute())
    return rows.length === 1
  }
  const routes = await routesOf(async () => {
    const unpinnedReads = startLoad(unpinned, { perSecond: 100 })
    const pinnedReads = startLoad(pinned, { perSecond: 20 })
    await more(unpinnedReads, 200)
    const [reads, fresh, wrote] = [await unpinnedReads.stop(), await pinnedReads.stop(), await storm.stop()]
    const { [cluster.primary.port]: onPrimary = 0, [late.port]: onLate = 0, ...others } = reads.servedBy()
    expect(reads.failures()).toEqual([])
    expect(onPrimary).toBeGreaterThan(20)
    expect(onLate).toBeGreaterThan(20)
    expect(others).toEqual({})
    expect(reads.slowestMs).toBeLessThan(2_000)
    expect(fresh.servedBy()).toEqual({ true: fresh.operations.length })
    expect(wrote.failures()).toEqual([])
    expect(wrote.percentileMs(95)).toBeLessThan(100)
  })
  const overflow = routes.filter(({ reason }) => reason === 'overflow').map(({ node }) => node)
  expect(new Set(overflow)).toEqual(new Set(['replica-1']))

  const healedMs = performance.now()
  await Promise.all(cluster.replicas.map((replica) => replica.setApplyDelay(0)))
  await Promise.all(cluster.replicas.map(({ name }) => watched.changed(name, 'fit', healedMs)))
  const load = startLoad(readsOf(cluster, db))
  await more(load)
  expect((await load.stop()).servedBy()).not.toHaveProperty('primary')
})
