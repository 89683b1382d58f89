import { sql } from 'kysely'
import { beforeAll, expect, test } from 'vitest'
import { useNode } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { openDatabase, poolOf, readItems } from '../support/cluster.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

const { cluster } = useShop({ replicas: 2 })
let replicas: readonly PostgresNode[]

beforeAll(async () => {
  replicas = cluster.replicas
})

/** The node that served each of so many requests of one read. */
async function servedBy(options: Partial<PrimaryReplicaDialectOptions>, requests: number): Promise<string[]> {
  await using db = openDatabase(cluster, options)
  const routes = await routesOf(async () => {
    for (let i = 0; i < requests; i++) await inRequest(() => readItems(db))
  })
  return routes.map(({ node }) => node)
}

test('requests read from the replicas in turn', async () => {
  const nodes = await servedBy({ choose: 'round-robin' }, 4)
  expect(new Set(nodes.slice(0, 2))).toEqual(new Set(['replica-1', 'replica-2']))
  expect(nodes.slice(2)).toEqual(nodes.slice(0, 2))
})

test('a function chooses, and is told who may serve', async () => {
  const seen: unknown[] = []
  const nodes = await servedBy(
    {
      choose: (candidates) => {
        seen.push(candidates.map(({ name, weight, busy }) => ({ name, weight, busy })))
        return 'replica-2'
      },
    },
    2,
  )
  expect(nodes).toEqual(['replica-2', 'replica-2'])
  expect(seen[0]).toEqual([
    { name: 'replica-1', weight: 1, busy: 0 },
    { name: 'replica-2', weight: 1, busy: 0 },
  ])
})

test('a function that takes from what it is given takes no replica away', async () => {
  const taking = (candidates: readonly { name: string }[]) =>
    (candidates as { name: string }[]).pop()?.name ?? ''
  expect(new Set(await servedBy({ choose: taking }, 5))).toEqual(new Set(['replica-2']))
})

test('the less busy replica is chosen', async () => {
  await using db = openDatabase(cluster)
  let busy = ''
  const [, route] = await routesOf(() =>
    inRequest(() =>
      db.connection().execute(async (one) => {
        await readItems(one)
        await openRequest().run(() => readItems(db))
      }),
    ).then(() => {
      busy = 'over'
    }),
  )
  expect(busy).toBe('over')
  const first = (await routesOf(() => inRequest(() => readItems(db))))[0]?.node
  expect(['replica-1', 'replica-2']).toContain(first)
  expect(['replica-1', 'replica-2']).toContain(route?.node)
})

test('one request keeps to one replica, whatever the others do', async () => {
  await using db = openDatabase(cluster, { choose: 'round-robin' })
  const routes = await routesOf(() =>
    Promise.all(
      Array.from({ length: 6 }, () =>
        inRequest(async () => {
          for (let i = 0; i < 3; i++) await readItems(db)
        }),
      ),
    ),
  )
  expect(routes).toHaveLength(18)
  // Each of the six had its own; in turn, three each.
  const counts = routes.filter(({ node }) => node === 'replica-1').length
  expect(counts).toBe(9)
})

test('a request’s affinity key chooses its replica, the same each time', async () => {
  await using db = openDatabase(cluster)
  const nodeOf = async (key: string) => {
    const request = openRequest()
    request.memory.affinityKey = () => key
    return (await routesOf(() => request.run(() => readItems(db))))[0]?.node
  }
  const keys = Array.from({ length: 20 }, (_, index) => `account ${index}`)
  const first: unknown[] = []
  for (const key of keys) first.push(await nodeOf(key))
  const second: unknown[] = []
  for (const key of keys) second.push(await nodeOf(key))
  expect(second).toEqual(first)
  expect(new Set(first)).toEqual(new Set(['replica-1', 'replica-2']))
})

test('a node of weight 0 serves only by its name', async () => {
  const [one, two] = replicas as [PostgresNode, PostgresNode]
  await using db = openDatabase(cluster, {
    replicas: [poolOf(one), { name: 'reporting', pool: poolOf(two), weight: 0 }],
  })
  const routes = await routesOf(async () => {
    for (let i = 0; i < 10; i++) await inRequest(() => readItems(db))
    await useNode('reporting', () => readItems(db))
  })
  expect(routes.map(({ node }) => node)).toEqual([...Array(10).fill('replica-1'), 'reporting'])
})

test('with only nodes of weight 0 the primary serves, and nobody is warned of it', async () => {
  const [one] = replicas as [PostgresNode, PostgresNode]
  const warnings = await warningsOf(async () => {
    await using db = openDatabase(cluster, {
      replicas: [{ name: 'reporting', pool: poolOf(one), weight: 0 }],
    })
    const routes = await routesOf(() => inRequest(() => readItems(db)))
    expect(routes.map(({ node, reason }) => [node, reason])).toEqual([['primary', 'no-replica']])
  })
  expect(warnings).toEqual([])
})

test('with only nodes of weight 0 the primary serves as many reads as its pool holds', async () => {
  const [one] = replicas as [PostgresNode, PostgresNode]
  await using db = openDatabase(cluster, {
    primary: namedPool(cluster.primary, 'choice', { max: 2 }),
    replicas: [{ name: 'reporting', pool: poolOf(one), weight: 0 }],
    whenNoReplica: 'error',
  })
  const slow = () => inRequest(() => sql`select count(*) from generate_series(1, 1000000)`.execute(db))
  const reasons = await routesOf(() => Promise.all(Array.from({ length: 20 }, slow)))
  expect(new Set(reasons.map(({ node, reason }) => `${node}: ${reason}`))).toEqual(
    new Set(['primary: no-replica']),
  )
})
