import { Kysely, sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { useNode, useReplica } from 'write-pinning'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Database, poolOf, readItems } from '../support/cluster.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { clientsOf, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'

const { cluster, atEnd } = useShop({ replicas: 2 })
let dialect: PrimaryReplicaDialect
let db: Kysely<Database>

beforeEach(() => {
  dialect = new PrimaryReplicaDialect({
    primary: poolOf(cluster.primary),
    replicas: cluster.replicas.map((node) => namedPool(node, 'operator', { max: 2 })),
  })
  db = new Kysely({ dialect })
})

afterEach(() => {
  vi.unstubAllEnvs()
  return db.destroy()
})

const read = () => readItems(db)
const nodesOf = async (requests: number) => {
  const routes = await routesOf(async () => {
    for (let i = 0; i < requests; i++) await inRequest(read)
  })
  return new Set(routes.map(({ node }) => node))
}

describe('a drained replica', () => {
  test('serves no new reads, at once, and serves again when it is resumed', async () => {
    await read()
    dialect.drain('replica-1')
    expect(await nodesOf(20)).toEqual(new Set(['replica-2']))
    dialect.resume('replica-1')
    expect(await nodesOf(40)).toEqual(new Set(['replica-1', 'replica-2']))
  })

  test('may be drained before the database is used', async () => {
    dialect.drain('replica-2')
    expect(await nodesOf(20)).toEqual(new Set(['replica-1']))
  })

  test('ends what is under way on it, and a request that kept to it goes on elsewhere', async () => {
    const request = openRequest()
    const [first] = await routesOf(() => request.run(read))
    const slow = request.run(() =>
      sql<{ port: number }>`select inet_server_port() as port, pg_sleep(0.3)`.execute(db),
    )
    await vi.waitFor(async () => {
      const all = await Promise.all(cluster.replicas.map((node) => clientsOf(node, 'operator')))
      expect(all.flat().some(({ query }) => query.includes('pg_sleep'))).toBe(true)
    })
    dialect.drain(first?.node ?? '')
    const [second] = await routesOf(() => request.run(read))
    expect(second?.node).not.toBe(first?.node)
    const { rows } = await slow
    expect(rows[0]?.port).toBe(cluster.replicas.find(({ name }) => name === first?.node)?.port)
  })

  test('lets those go elsewhere who wait for one of its connections', async () => {
    const waiting = openRequest()
    const [first] = await routesOf(() => waiting.run(read))
    const name = first?.node ?? ''
    const busy = Array.from({ length: 2 }, () => useNode(name, () => sql`select pg_sleep(1)`.execute(db)))
    // One that still waited would be refused by the name of a node that is drained.
    await vi.waitFor(async () => expect(await sleepersOn(name)).toBe(2), { interval: 10 })
    const routes = routesOf(() => waiting.run(read))
    await vi.waitFor(() => expect(dialect.status().nodes.find((node) => node.name === name)?.busy).toBe(3))
    dialect.drain(name)
    await Promise.all(busy)
    expect((await routes).map(({ node }) => node)).not.toContain(name)
  })

  test('is refused by its name, with an error that says so', async () => {
    await read()
    dialect.drain('replica-1')
    const error = await useNode('replica-1', read).catch((each: unknown) => each)
    expect(error).toMatchObject({ code: 'ERR_WRITE_PINNING_NODE_UNAVAILABLE', statusCode: 503 })
    expect(String(error)).toContain('drained')
  })

  test('that does not exist, or is the primary, is refused', async () => {
    for (const use of [() => {}, read]) {
      await use()
      expect(await codeOf(() => dialect.drain('replica-3'))).toBe('ERR_WRITE_PINNING_UNKNOWN_NODE')
      expect(await codeOf(() => dialect.resume('replica-3'))).toBe('ERR_WRITE_PINNING_UNKNOWN_NODE')
      expect(await codeOf(() => dialect.drain('primary'))).toBe('ERR_WRITE_PINNING_NODE')
    }
  })
})

describe('the mode', () => {
  test('`primary` has the primary serve, at once, also in useReplica(); names go on', async () => {
    await inRequest(read)
    dialect.setMode('primary')
    const request = openRequest()
    expect(await whereAndWhy(() => request.run(read))).toEqual(['primary: mode'])
    expect(await whereAndWhy(() => useReplica(read))).toEqual(['primary: mode'])
    expect(await whereAndWhy(() => useNode('replica-1', read))).toEqual(['replica: use-node'])
    dialect.setMode('split')
    expect(await whereAndWhy(() => request.run(read))).toEqual(['replica: read'])
  })

  test('`primary` holds for a connection that is on a replica already', async () => {
    const nodes = await routesOf(() =>
      inRequest(() =>
        db.connection().execute(async (one) => {
          await sql`select 1`.execute(one)
          dialect.setMode('primary')
          await sql`select 2`.execute(one)
        }),
      ),
    )
    expect(nodes.map(({ role, reason }) => `${role}: ${reason}`)).toEqual(['replica: read', 'primary: mode'])
  })

  test('`observe` has the primary serve, and counts where the reads would have gone', async () => {
    dialect.setMode('observe')
    const routes = await whereAndWhy(async () => {
      for (let i = 0; i < 30; i++) await inRequest(read)
    })
    expect(new Set(routes)).toEqual(new Set(['primary: mode']))
    const { observed } = dialect.status()
    expect(Object.keys(observed).sort()).toEqual(['replica-1', 'replica-2'])
    expect((observed['replica-1'] ?? 0) + (observed['replica-2'] ?? 0)).toBe(30)
  })

  test('of another name is refused', async () => {
    expect(await codeOf(() => dialect.setMode('off' as never))).toBe('ERR_WRITE_PINNING_OPTION')
    expect(await codeOf(() => dialect.setMode(undefined as never))).toBe('ERR_WRITE_PINNING_OPTION')
  })
})

describe('the share of the replicas', () => {
  test('is a part of the requests, and of all reads of each', async () => {
    dialect.setReplicaShare(0.5)
    const perRequest: Set<string>[] = []
    for (let i = 0; i < 60; i++) {
      const routes = await routesOf(() =>
        inRequest(async () => {
          for (let j = 0; j < 3; j++) await read()
        }),
      )
      perRequest.push(new Set(routes.map(({ role, reason }) => `${role}: ${reason}`)))
    }
    expect(perRequest.every((routes) => routes.size === 1)).toBe(true)
    const onPrimary = perRequest.filter((routes) => routes.has('primary: share')).length
    expect(onPrimary).toBeGreaterThan(10)
    expect(onPrimary).toBeLessThan(50)
  })

  test('of 0 is the primary, and of 1 the replicas again', async () => {
    dialect.setReplicaShare(0)
    expect(await nodesOf(5)).toEqual(new Set(['primary']))
    const request = openRequest()
    await request.run(read)
    dialect.setReplicaShare(1)
    expect(await whereAndWhy(() => request.run(read))).toEqual(['replica: read'])
  })

  test('that is no share is refused', async () => {
    for (const share of [-0.1, 1.1, Number.NaN, '0.5', undefined]) {
      expect(await codeOf(() => dialect.setReplicaShare(share as never))).toBe('ERR_WRITE_PINNING_OPTION')
    }
  })
})

describe('the mode and the share that the options give', () => {
  const options = (more: object) => ({
    primary: poolOf(cluster.primary),
    replicas: cluster.replicas.map(poolOf),
    ...more,
  })

  /** Reads once in each of some requests, and tells which routes there were. */
  async function routesWith(more: object, requests = 1): Promise<string[]> {
    const opened = new Kysely<Database>({ dialect: new PrimaryReplicaDialect(options(more)) })
    atEnd(() => opened.destroy())
    return await whereAndWhy(async () => {
      for (let i = 0; i < requests; i++) await inRequest(() => readItems(opened))
    })
  }

  test('hold from the first read on', async () => {
    expect(await routesWith({})).toEqual(['replica: read'])
    expect(await routesWith({ mode: 'primary' })).toEqual(['primary: mode'])
    expect(await routesWith({ replicaShare: 0 })).toEqual(['primary: share'])
    const some = new Set(await routesWith({ replicaShare: 0.5 }, 60))
    expect(some).toEqual(new Set(['replica: read', 'primary: share']))
  })

  test('hold for the pool, and the calls win from then on', async () => {
    const pool = new PrimaryReplicaPool(options({ mode: 'observe', replicaShare: 0 }))
    atEnd(() => pool.end())
    const readOnce = () => whereAndWhy(() => inRequest(() => pool.query('select * from item')))
    expect(pool.status()).toMatchObject({ mode: 'observe', replicaShare: 0, observed: {} })
    expect(await readOnce()).toEqual(['primary: mode'])
    const { observed, ...rest } = pool.status()
    expect(rest).toMatchObject({ mode: 'observe', replicaShare: 0 })
    expect(Object.values(observed)).toEqual([1])
    pool.setMode('split')
    expect(await readOnce()).toEqual(['primary: share'])
    pool.setReplicaShare(1)
    expect(await readOnce()).toEqual(['replica: read'])
    expect(pool.status()).toMatchObject({ mode: 'split', replicaShare: 1 })
  })

  test('are those of the environment where no option gives them', async () => {
    vi.stubEnv('WRITE_PINNING_MODE', 'primary')
    vi.stubEnv('WRITE_PINNING_REPLICA_SHARE', '0.0')
    expect(await routesWith({})).toEqual(['primary: mode'])
    expect(await routesWith({ mode: 'split' })).toEqual(['primary: share'])
    expect(await routesWith({ mode: 'split', replicaShare: 1 })).toEqual(['replica: read'])
    // Set, and empty, as a deployment does that has nothing to say.
    vi.stubEnv('WRITE_PINNING_MODE', '')
    vi.stubEnv('WRITE_PINNING_REPLICA_SHARE', '')
    expect(await routesWith({})).toEqual(['replica: read'])
    // A call wins over the environment, too.
    vi.stubEnv('WRITE_PINNING_MODE', 'primary')
    const pool = new PrimaryReplicaPool(options({}))
    atEnd(() => pool.end())
    pool.setMode('split')
    expect(await whereAndWhy(() => inRequest(() => pool.query('select * from item')))).toEqual([
      'replica: read',
    ])
  })

  test.each([
    ['WRITE_PINNING_MODE', 'off', "must be one of 'split', 'primary', 'observe', and got 'off'."],
    ['WRITE_PINNING_MODE', 'Primary', "must be one of 'split', 'primary', 'observe', and got 'Primary'."],
    ['WRITE_PINNING_REPLICA_SHARE', '5', 'must be a number from 0 to 1, and got the number 5.'],
    ['WRITE_PINNING_REPLICA_SHARE', '-0.1', "must be a number from 0 to 1, and got '-0.1'."],
    ['WRITE_PINNING_REPLICA_SHARE', '5%', 'must be a number from 0 to 1, and got a string.'],
    ['WRITE_PINNING_REPLICA_SHARE', '0x1', "must be a number from 0 to 1, and got '0x1'."],
  ])('in the environment %s=%s is refused, by the name of the variable', async (name, value, rest) => {
    vi.stubEnv(name, value)
    for (const Class of [PrimaryReplicaDialect, PrimaryReplicaPool]) {
      const make = () => new Class(options({}))
      expect(await codeOf(make)).toBe('ERR_WRITE_PINNING_OPTION')
      expect(make).toThrow(`The environment: \`${name}\` ${rest}`)
    }
    // What the option gives is not asked of the environment.
    expect(() => new PrimaryReplicaDialect(options({ mode: 'split', replicaShare: 1 }))).not.toThrow()
  })
})

describe('the status', () => {
  test('tells of every node its role, health, lag, position and counts', async () => {
    await inRequest(read)
    const { nodes, ...rest } = dialect.status()
    expect(rest).toEqual({
      name: 'default',
      mode: 'split',
      replicaShare: 1,
      observed: {},
      spilled: { running: 0, waiting: 0 },
    })
    expect(nodes.map(({ name, role, health }) => [name, role, health])).toEqual([
      ['primary', 'primary', 'up'],
      ['replica-1', 'replica', 'up'],
      ['replica-2', 'replica', 'up'],
    ])
    for (const { position, timeline } of nodes) {
      expect(position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/)
      expect(timeline).toBe(1)
    }
    expect(nodes.slice(1).every(({ isFit, lagMs }) => isFit && typeof lagMs === 'number')).toBe(true)
    expect(nodes.slice(1).reduce((sum, { counts }) => sum + counts.sessions, 0)).toBe(1)
    expect(JSON.parse(JSON.stringify(nodes))).toHaveLength(3)
  })

  test('is there before the database is used, and after it was destroyed', async () => {
    const healthOf = () => dialect.status().nodes.map(({ health }) => health)
    expect(healthOf()).toEqual(['unknown', 'unknown', 'unknown'])
    await read()
    expect(healthOf()).toEqual(['up', 'up', 'up'])
    await db.destroy()
    expect(healthOf()).toEqual(['unknown', 'unknown', 'unknown'])
  })

  test('counts no session that was given back', async () => {
    await Promise.all(Array.from({ length: 10 }, () => inRequest(read)))
    await inRequest(() => sql`select 1 / 0`.execute(db)).catch(() => {})
    await db.transaction().execute((trx) => trx.selectFrom('item').selectAll().execute())
    expect(dialect.status().nodes.map(({ busy }) => busy)).toEqual([0, 0, 0])
  })
})

async function sleepersOn(name: string): Promise<number> {
  const node = cluster.nodes.find((each) => each.name === name)
  const clients = node === undefined ? [] : await clientsOf(node, 'operator')
  return clients.filter(({ state, query }) => state === 'active' && query.includes('pg_sleep(1)')).length
}
