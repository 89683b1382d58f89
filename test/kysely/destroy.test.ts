import { sql } from 'kysely'
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { useNode, usePrimary, useReplica } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { openDatabase } from '../support/cluster.ts'
import { clientsOf, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'

const { cluster } = useShop({ replicas: 2 })

const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
const listenersOf = (pool: pg.Pool) => pool.eventNames().map((name) => [name, pool.listenerCount(name)])

test('db.destroy() leaves no connection, no listener on the caller’s pools and no timer', async () => {
  const pools = cluster.nodes.map((node) => namedPool(node, 'destroyed'))
  const [primary, ...replicas] = pools as [pg.Pool, ...pg.Pool[]]
  primary.on('error', () => {})
  const [listenersBefore, timersBefore] = [pools.map(listenersOf), timers()]
  const db = openDatabase(cluster, { primary, replicas })
  const read = () => db.selectFrom('item').selectAll().execute()
  await Promise.all(Array.from({ length: 5 }, () => usePrimary(read)))
  await Promise.all(Array.from({ length: 10 }, () => useReplica(read)))
  for (const node of cluster.nodes) expect((await clientsOf(node, 'destroyed')).length).toBeGreaterThan(1)
  await db.destroy()
  for (const node of cluster.nodes) expect(await clientsOf(node, 'destroyed')).toEqual([])
  expect(pools.map(listenersOf)).toEqual(listenersBefore)
  expect(timers()).toBeLessThanOrEqual(timersBefore)
  expect(pools.map(({ ended }) => ended)).toEqual([true, true, true])
})

test('destroyed before its first use it has nothing to end, as with Kysely’s own dialect', async () => {
  const primary = namedPool(cluster.primary, 'unused')
  let calls = 0
  const replica = () => {
    calls++
    return namedPool(cluster.replicas[0] as PostgresNode, 'unused')
  }
  const db = openDatabase(cluster, { primary, replicas: [replica] })
  await db.destroy()
  expect([calls, primary.ended]).toEqual([0, false])
  await primary.end()
})

test('destroyed twice, or by two at once, it is destroyed', async () => {
  const db = openDatabase(cluster)
  await db.selectFrom('item').selectAll().execute()
  await Promise.all([db.destroy(), db.destroy()])
  await db.destroy()
  await expect(db.selectFrom('item').selectAll().execute()).rejects.toThrow(
    'driver has already been destroyed',
  )
})

test('destroying waits for what is running', async () => {
  const db = openDatabase(cluster)
  await db.selectFrom('item').selectAll().execute()
  const slow = () => sql<{ done: boolean }>`select pg_sleep(0.2), true as done`.execute(db)
  const reading = useNode('replica-1', slow)
  await vi.waitFor(async () => {
    const clients = await clientsOf(cluster.replicas[0] as PostgresNode)
    expect(clients).toContainEqual(expect.objectContaining({ state: 'active' }))
  })
  await db.destroy()
  expect((await reading).rows).toMatchObject([{ done: true }])
})

test('a pool that its owner has ended makes destroy() fail, as with Kysely’s own dialect, and the others are ended', async () => {
  const primary = namedPool(cluster.primary, 'half')
  const replica = namedPool(cluster.replicas[0] as PostgresNode, 'half')
  const db = openDatabase(cluster, { primary, replicas: [replica] })
  await usePrimary(() => db.selectFrom('item').selectAll().execute())
  await useReplica(() => db.selectFrom('item').selectAll().execute())
  await primary.end()
  await expect(db.destroy()).rejects.toThrow('Called end on pool more than once')
  expect(replica.ended).toBe(true)
  expect([listenersOf(primary), listenersOf(replica)]).toEqual([[], []])
})

test('a frozen server cannot keep destroy() from coming back', async () => {
  const replica = cluster.replicas[1] as PostgresNode
  const pool = namedPool(replica, 'frozen')
  const db = openDatabase(cluster, { replicas: [pool] })
  await useReplica(() => db.selectFrom('item').selectAll().execute())
  await replica.freeze()
  try {
    await db.destroy()
    expect(pool.ended).toBe(true)
  } finally {
    await replica.thaw()
  }
})

test('a primary that cannot be reached fails its statements and nothing else', async () => {
  const primary = new pg.Pool({ connectionString: 'postgres://postgres@127.0.0.1:1/shop' })
  await using db = openDatabase(cluster, { primary })
  expect(await codeOf(() => usePrimary(() => db.selectFrom('item').selectAll().execute()))).toBe(
    'ECONNREFUSED',
  )
  expect(await codeOf(() => db.transaction().execute(async () => {}))).toBe('ECONNREFUSED')
  expect(await useReplica(() => db.selectFrom('item').selectAll().execute())).toEqual([])
})
