import { fastify } from 'fastify'
import { Kysely } from 'kysely'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, poolOf, readItems } from '../support/cluster.ts'
import { clientsOf } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { leaveUnanswered } from '../support/unanswered-port.ts'
import { codeOf } from '../support/warnings.ts'

// Whether the database is there is known before the first query, so that a readiness route can tell.
const { cluster } = useShop({ replicas: 2 })
let dialect: PrimaryReplicaDialect
const open: Kysely<Database>[] = []

afterEach(async () => {
  for (const db of open.splice(0)) {
    // Kysely destroys what it has used, and nothing else.
    await db.connection().execute(async () => {})
    await db.destroy()
  }
})

function make(options: Partial<PrimaryReplicaDialectOptions> = {}): PrimaryReplicaDialect {
  dialect = new PrimaryReplicaDialect({
    primary: poolOf(cluster.primary),
    replicas: cluster.replicas.map(poolOf),
    ...options,
  })
  return dialect
}

function openOn(on: PrimaryReplicaDialect): Kysely<Database> {
  const db = new Kysely<Database>({ dialect: on })
  open.push(db)
  return db
}

const healthOf = (on = dialect) => on.status().nodes.map(({ name, health }) => `${name}: ${health}`)
const primaryOf = (on = dialect) => on.status().nodes.find(({ role }) => role === 'primary')
const ofPackage = async (node: PostgresNode) =>
  (await clientsOf(node)).filter(({ query }) => query.includes('isInRecovery')).length

describe('the status before the first query', () => {
  test('lists every node that has a name of its own, as one of which nothing is known yet', () => {
    make({
      replicas: [
        cluster.replicas[0]?.connectionString,
        { name: 'reporting', pool: cluster.replicas[1]?.connectionString, weight: 0 },
        { name: 'pods', pool: 'postgres://pods.test/test', discover: {} },
      ],
    })
    dialect.drain('replica-1')
    const unknown = {
      health: 'unknown',
      isFit: false,
      because: 'unknown',
      downBecause: undefined,
      isDrained: false,
      weight: 1,
      lagMs: undefined,
      lagBytes: undefined,
      position: undefined,
      timeline: undefined,
      busy: 0,
      counts: { sessions: 0, movedAway: 0, ejected: 0 },
    }
    const expected = [
      { name: 'primary', role: 'primary', ...unknown },
      { name: 'replica-1', role: 'replica', ...unknown, because: 'drained', isDrained: true },
      { name: 'reporting', role: 'replica', ...unknown, weight: 0 },
    ]
    expect(dialect.status().nodes).toEqual(expected)
    openOn(make({ replicas: [cluster.replicas[0]?.connectionString] }))
    expect(healthOf()).toEqual(['primary: unknown', 'replica-1: unknown'])
  })

  test('has the fields that it has later', async () => {
    const db = openOn(make())
    const before = dialect.status()
    await readItems(db)
    const after = dialect.status()
    expect(Object.keys(before)).toEqual(Object.keys(after))
    expect(before.nodes.map((node) => Object.keys(node))).toEqual(
      after.nodes.map((node) => Object.keys(node)),
    )
  })
})

describe('ready()', () => {
  test('begins to watch the nodes, and gives the status once each was heard of', async () => {
    openOn(make())
    const status = await dialect.ready()
    expect(healthOf()).toEqual(['primary: up', 'replica-1: up', 'replica-2: up'])
    expect(status).toEqual(dialect.status())
    expect(status.nodes[0]).toMatchObject({ isFit: true, because: undefined })
  })

  test("is the same work as Kysely's own first query: nothing is opened or watched twice", async () => {
    const opened = vi.fn(() => poolOf(cluster.primary))
    const db = openOn(make({ primary: opened }))
    await Promise.all([dialect.ready(), dialect.ready(), readItems(db)])
    await readItems(db)
    await dialect.ready()
    expect(opened).toHaveBeenCalledTimes(1)
    expect(await Promise.all(cluster.nodes.map(ofPackage))).toEqual([1, 1, 1])
  })

  test('resolves while nodes are down or do not answer, and the status says so', async () => {
    const silent = await leaveUnanswered()
    openOn(make({ replicas: ['postgres://127.0.0.1:1/test', `postgres://127.0.0.1:${silent.port}/test`] }))
    const { nodes } = await dialect.ready()
    expect(nodes[0]).toMatchObject({ health: 'up', isFit: true })
    expect(nodes[1]).toMatchObject({ health: 'down', isFit: false, because: 'down' })
    expect(nodes[2]).toMatchObject({ health: 'unknown', isFit: false, because: 'unknown' })
    await silent.free()
  })

  test('rejects where nothing can be opened, and tries again when it is called again', async () => {
    let isBroken = true
    const db = openOn(
      make({
        primary: () => {
          if (isBroken) throw new Error('no secret store')
          return poolOf(cluster.primary)
        },
      }),
    )
    await expect(dialect.ready()).rejects.toThrow('no secret store')
    await expect(readItems(db)).rejects.toThrow('no secret store')
    isBroken = false
    await dialect.ready()
    expect(primaryOf()).toMatchObject({ isFit: true })
    await readItems(db)
  })

  test('opens every database that was made with the dialect', async () => {
    const replicas = cluster.replicas.map(({ connectionString }) => connectionString)
    const shared = make({ primary: cluster.primary.connectionString, replicas })
    openOn(shared)
    openOn(shared)
    await shared.ready()
    expect(await Promise.all(cluster.nodes.map(ofPackage))).toEqual([2, 2, 2])
  })

  test('is refused without a Kysely instance, and after the last one was destroyed', async () => {
    make()
    const error = await dialect.ready().catch((each: unknown) => each)
    expect(error).toMatchObject({ code: 'ERR_WRITE_PINNING_NOT_OPEN' })
    expect(String(error)).toContain('new Kysely({ dialect })')
    const db = new Kysely<Database>({ dialect })
    await readItems(db)
    await db.destroy()
    expect(await codeOf(() => dialect.ready())).toBe('ERR_WRITE_PINNING_NOT_OPEN')
    expect(healthOf()).toEqual(['primary: unknown', 'replica-1: unknown', 'replica-2: unknown'])
  })
})

describe('a node is fit', () => {
  test('as the primary, if it takes writes as far as is known', async () => {
    const [replica] = cluster.replicas as [PostgresNode]
    openOn(make({ primary: replica.connectionString, replicas: [] }))
    await dialect.ready()
    expect(primaryOf()).toMatchObject({ health: 'up', isFit: false, because: 'in-recovery' })
    openOn(make({ primary: 'postgres://127.0.0.1:1/test' }))
    await dialect.ready()
    expect(primaryOf()).toMatchObject({ health: 'down', isFit: false, because: 'down' })
  })

  test('as a replica, if it serves reads that name no node', async () => {
    const [first, second] = cluster.replicas as [PostgresNode, PostgresNode]
    openOn(make({ replicas: [poolOf(first), { name: 'reporting', pool: poolOf(second), weight: 0 }] }))
    await dialect.ready()
    await vi.waitFor(() =>
      expect(dialect.status().nodes[1]).toMatchObject({ isFit: true, because: undefined }),
    )
    await vi.waitFor(() =>
      expect(dialect.status().nodes[2]).toMatchObject({ isFit: false, because: 'only-by-name' }),
    )
    dialect.drain('replica-1')
    expect(dialect.status().nodes[1]).toMatchObject({ isFit: false, because: 'drained' })
  })
})

test('a readiness route is ready before the first query', async () => {
  openOn(make())
  const app = fastify()
  app.get('/ready', (_request, reply) => {
    const primary = dialect.status().nodes.find(({ role }) => role === 'primary')
    return reply.code(primary?.isFit ? 200 : 503).send(primary)
  })
  expect((await app.inject('/ready')).statusCode).toBe(503)
  await dialect.ready()
  expect((await app.inject('/ready')).statusCode).toBe(200)
  await app.close()
})
