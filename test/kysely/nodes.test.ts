import { Kysely } from 'kysely'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { useNode, usePrimary } from 'write-pinning'
import { type NodeInput, PrimaryReplicaDialect } from 'write-pinning/kysely'
import { type Database, openDatabase, poolOf } from '../support/cluster.ts'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'

const { cluster } = useShop()

describe('a node may be given', () => {
  const forms: Record<string, (url: string) => NodeInput> = {
    'as a pool': (connectionString) => new pg.Pool({ connectionString }),
    'as a configuration': (connectionString) => ({ connectionString, max: 2 }),
    'as a configuration in parts': (url) => {
      const { hostname, port, pathname } = new globalThis.URL(url)
      return { host: hostname, port: Number(port), user: 'postgres', database: pathname.slice(1) }
    },
    'as a connection string': (url) => url,
    'as a function': (connectionString) => () => new pg.Pool({ connectionString }),
    'as an async function': (connectionString) => async () => new pg.Pool({ connectionString }),
    'with a name': (url) => ({ name: `at ${url}`, pool: url }),
    'with a name and a function': (connectionString) => ({
      name: `at ${connectionString}`,
      pool: async () => new pg.Pool({ connectionString }),
    }),
  }
  for (const [name, form] of Object.entries(forms)) {
    test(name, async () => {
      const [primary, replica] = cluster.nodes.map((each) => form(each.connectionString)) as [
        NodeInput,
        NodeInput,
      ]
      await using db = openDatabase(cluster, { primary, replicas: [replica] })
      const routes = await routesOf(() =>
        inRequest(async () => {
          await db.selectFrom('item').selectAll().execute()
          await db.insertInto('item').values({ name: 'a' }).execute()
        }),
      )
      expect(routes.map(({ role }) => role)).toEqual(['replica', 'primary'])
    })
  }
})

test('nodes have the names that were given, or primary, replica-1, …', async () => {
  const [primary, replica] = cluster.nodes as [(typeof cluster)['primary'], (typeof cluster)['primary']]
  await using db = openDatabase(cluster, {
    primary: poolOf(primary),
    replicas: [poolOf(replica), { name: 'reporting', pool: poolOf(replica) }, poolOf(replica)],
  })
  const read = () => db.selectFrom('item').selectAll().execute()
  const routes = await routesOf(async () => {
    await usePrimary(read)
    for (const name of ['replica-1', 'reporting', 'replica-3', 'primary']) await useNode(name, read)
  })
  expect(routes.map(({ node }) => node)).toEqual([
    'primary',
    'replica-1',
    'reporting',
    'replica-3',
    'primary',
  ])
  expect(await codeOf(() => useNode('replica-2', read))).toBe('ERR_WRITE_PINNING_UNKNOWN_NODE')
})

test('two clusters have names of their own', async () => {
  await using db = openDatabase(cluster)
  await using stock = openDatabase(cluster, { name: 'stock' })
  const routes = await routesOf(async () => {
    await db.selectFrom('item').selectAll().execute()
    await stock.selectFrom('item').selectAll().execute()
  })
  expect(routes.map((route) => route.cluster)).toEqual(['default', 'stock'])
})

describe('a function that makes a pool', () => {
  test('runs once, at the first query', async () => {
    let calls = 0
    const primary = () => {
      calls++
      return poolOf(cluster.primary)
    }
    await using db = openDatabase(cluster, { primary })
    expect(calls).toBe(0)
    await Promise.all([
      db.selectFrom('item').selectAll().execute(),
      db.selectFrom('item').selectAll().execute(),
    ])
    expect(calls).toBe(1)
  })

  test('runs again where it failed, and pools made meanwhile are not made twice', async () => {
    let failures = 1
    let replicaPools = 0
    const primary = async () => {
      if (failures-- > 0) throw new Error('no credentials yet')
      return poolOf(cluster.primary)
    }
    const replica = () => {
      replicaPools++
      return poolOf(cluster.replicas[0] as (typeof cluster)['primary'])
    }
    await using db = openDatabase(cluster, { primary, replicas: [replica] })
    const read = () => db.selectFrom('item').selectAll().execute()
    await expect(read()).rejects.toThrow('no credentials yet')
    await read()
    expect(replicaPools).toBe(1)
  })

  const wrong: Record<string, () => unknown> = {
    'gives nothing': () => undefined,
    'gives no pool': () => ({ connectionString: 'postgres://127.0.0.1/shop' }),
    'gives a pool without a connection string': () => new pg.Pool({ connectionString: undefined } as never),
  }
  for (const [name, primary] of Object.entries(wrong)) {
    test(`is refused at the first query where it ${name}`, async () => {
      await using db = openDatabase(cluster, { primary: primary as never })
      expect(await codeOf(() => db.selectFrom('item').selectAll().execute())).toBe('ERR_WRITE_PINNING_NODE')
    })
  }

  test('is refused where it gives the pool of another node', async () => {
    const pool = poolOf(cluster.primary)
    await using db = openDatabase(cluster, { primary: () => pool, replicas: [async () => pool] })
    expect(await codeOf(() => db.selectFrom('item').selectAll().execute())).toBe('ERR_WRITE_PINNING_NODE')
    await pool.end()
  })
})

test('one dialect serves one database after another, as Kysely’s own does', async () => {
  const dialect = new PrimaryReplicaDialect({
    primary: cluster.primary.connectionString,
    replicas: [() => poolOf(cluster.replicas[0] as (typeof cluster)['primary'])],
  })
  for (const _ of [1, 2]) {
    await using db = new Kysely<Database>({ dialect })
    await inRequest(() => db.selectFrom('item').selectAll().execute())
    await inRequest(() => db.insertInto('item').values({ name: 'again' }).execute())
  }
})
