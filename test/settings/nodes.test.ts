import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { warningsOf } from '../support/warnings.ts'

// Where a node cannot be told what a client has set, or will not have it, the safe side is the primary.
const { cluster, atEnd } = useShop()

type Options = ConstructorParameters<typeof PrimaryReplicaPool>[0]

async function openPool(options: Partial<Options> = {}): Promise<PrimaryReplicaPool> {
  const replicas = cluster.replicas.map(({ connectionString }) => connectionString)
  const pool = new PrimaryReplicaPool({ primary: cluster.primary.connectionString, replicas, ...options })
  atEnd(() => (pool.ending ? undefined : pool.end()))
  await pool.ready()
  await expect.poll(() => pool.status().nodes.every(({ isFit }) => isFit)).toBe(true)
  return pool
}

async function clientOf(pool: PrimaryReplicaPool): Promise<pg.Client> {
  const client = new pool.driver.Client()
  await client.connect()
  atEnd(() => client.end())
  return client
}

const TENANT = "select current_setting('app.tenant', true) as it"

/** What a client sets binds it to the primary. */
async function expectBound(client: pg.Client): Promise<void> {
  const routes = await whereAndWhy(() =>
    inRequest(async () => {
      await client.query("set app.tenant = 'one'")
      expect((await client.query(TENANT)).rows).toEqual([{ it: 'one' }])
    }),
  )
  expect(routes).toEqual(['primary: session', 'primary: same-connection'])
}

test('a role that a replica has not replayed yet is set on the primary, and its client reads there until the replica has it', async () => {
  const client = await clientOf(await openPool())
  const role = async () => (await client.query<{ it: string }>('select current_user as it')).rows[0]?.it
  await cluster.replicas[0]?.pauseReplay()
  await cluster.primary.query('create role late_role')
  const during = await whereAndWhy(() =>
    useReplica(async () => {
      await client.query('set role late_role')
      expect(await role()).toBe('late_role')
      expect(await role()).toBe('late_role')
    }),
  )
  expect(during.filter((route) => route.startsWith('primary'))).toEqual(Array(3).fill('primary: refused'))
  await cluster.replicas[0]?.resumeReplay()
  await cluster.waitForCatchup()
  await expect
    .poll(() => whereAndWhy(() => useReplica(async () => expect(await role()).toBe('late_role'))), {
      timeout: 5_000,
    })
    .toEqual(['replica: use-replica'])
  await client.query('reset role')
  await cluster.primary.query('drop role late_role')
  await cluster.waitForCatchup()
})

test('what the primary refuses as well is told, and the client goes on', async () => {
  const client = await clientOf(await openPool())
  const set = useReplica(() => client.query('set role nobody_at_all'))
  await expect(set).rejects.toMatchObject({ message: 'role "nobody_at_all" does not exist' })
  expect(await useReplica(async () => (await client.query(TENANT)).rows)).toEqual([{ it: null }])
})

describe('behind a pooler in transaction mode', () => {
  test.each(['primary', 'replica'] as const)(
    '%s: what is set binds to the primary, as it did, and that is said once',
    async (which) => {
      const node = which === 'primary' ? cluster.primary : cluster.replicas[0]
      await using bouncer = await startPgBouncer(node as typeof cluster.primary, { default_pool_size: 1 })
      const behind =
        which === 'primary' ? { primary: bouncer.connectionString } : { replicas: [bouncer.connectionString] }
      const warnings = await warningsOf(async () => {
        const pool = await openPool(behind)
        const client = await clientOf(pool)
        await expectBound(client)
        const another = await clientOf(pool)
        await inRequest(() => another.query("set app.tenant = 'two'"))
        await client.end()
        await another.end()
        await pool.end()
      })
      expect(warnings.filter((code) => code === 'WRITE_PINNING_SETTINGS_STAY')).toHaveLength(1)
    },
  )
})

test.each(['primary', 'replica'] as const)(
  'a pool that sends before it is answered (%s) has what is set bind to the primary',
  async (which) => {
    const pipelined = (connectionString: string | undefined) =>
      new pg.Pool({ connectionString, pipeline: true } as pg.PoolConfig)
    const [replica] = cluster.replicas
    const pool = await openPool(
      which === 'primary'
        ? { primary: pipelined(cluster.primary.connectionString) }
        : { replicas: [pipelined(replica?.connectionString)] },
    )
    const client = await clientOf(pool)
    await expectBound(client)
  },
)

describe('a commit that is lost', () => {
  test('leaves nobody knowing what is set: the client takes no statement any more', async () => {
    const proxy = await TcpProxy.start(cluster.primary)
    atEnd(() => proxy.stop())
    const pool = await openPool({ primary: proxy.connectionString })
    const client = await pool.connect()
    client.on('error', () => {})
    await usePrimary(async () => {
      await client.query("set app.tenant = 'before'")
      await client.query('begin')
      await client.query("insert into item (name) values ('x')")
      await client.query("set app.tenant = 'after'")
      const cut = proxy.cutWhen((bytes) => bytes.includes('commit\0'), 'delivered')
      await expect(client.query('commit')).rejects.toMatchObject({
        code: 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
      })
      await cut
      await client.query('rollback').catch(() => {})
      await expect(client.query(TENANT)).rejects.toMatchObject({ code: 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME' })
    })
    client.release()
    expect(await usePrimary(async () => (await pool.query(TENANT)).rows)).toEqual([{ it: null }])
  })
})

describe('what would make a replica’s session writable, or refuse everything,', () => {
  test.each([
    ['set default_transaction_read_only = off', 'default_transaction_read_only', 'off', 'on'],
    ['set session characteristics as transaction read write', 'default_transaction_read_only', 'off', 'on'],
    [
      'set default_transaction_isolation = serializable',
      'default_transaction_isolation',
      'serializable',
      'repeatable read',
    ],
    [
      'set session characteristics as transaction isolation level serializable, read only',
      ...(['default_transaction_isolation', 'serializable', 'repeatable read'] as const),
    ],
  ])('is set on the primary alone: %s', async (text, name, there, elsewhere) => {
    const client = await clientOf(await openPool())
    const read = async () =>
      (await client.query<{ it: string }>(`select current_setting('${name}') as it`)).rows[0]?.it
    await inRequest(() => client.query(text))
    expect(await usePrimary(read)).toBe(there)
    expect(await useReplica(read)).toBe(elsewhere)
  })

  test('has a transaction that does not say otherwise run on the primary', async () => {
    const client = await clientOf(await openPool())
    await inRequest(() => client.query('set default_transaction_isolation = serializable'))
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        await client.query('begin read only')
        await client.query(TENANT)
        await client.query('commit')
      }),
    )
    expect(routes).toEqual(['primary: transaction'])
  })
})
