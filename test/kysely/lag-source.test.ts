import { Kysely, sql } from 'kysely'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, poolOf } from '../support/cluster.ts'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

const { cluster } = useShop()
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  // What an Aurora replica has, as far as it is asked for.
  await cluster.primary.query('create table aurora_lag (ms float8)')
  await cluster.primary.query(
    `create function pg_catalog.aurora_db_instance_identifier() returns text stable language sql as $$ select 'reader' $$`,
  )
  await cluster.primary.query(
    `create function pg_catalog.aurora_replica_status() returns table (server_id text, replica_lag_in_msec float8) stable language sql
     as $$ select 'reader', ms from aurora_lag union all select 'other', 9e9 $$`,
  )
  await cluster.waitForCatchup()
})

async function open(options: Partial<PrimaryReplicaDialectOptions>) {
  const dialect = new PrimaryReplicaDialect({
    primary: poolOf(cluster.primary),
    replicas: [poolOf(replica)],
    probeIntervalMs: 50,
    maxLagMs: 1_000,
    ...options,
  })
  const db = new Kysely<Database>({ dialect })
  const where = () => whereAndWhy(() => inRequest(() => sql`select 1`.execute(db)))
  await where()
  return { dialect, where, [Symbol.asyncDispose]: () => db.destroy() }
}

test('by the positions that the primary was seen at', async () => {
  await using db = await open({})
  expect(await db.where()).toEqual(['replica: read'])
  await replica.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('unseen')")
  await vi.waitFor(async () => expect(await db.where()).toEqual(['primary: no-replica']), { timeout: 5_000 })
  const [, status] = db.dialect.status().nodes
  expect(status).toMatchObject({ health: 'up', because: 'lagging', isFit: false })
  expect(status?.lagMs).toBeGreaterThan(1_000)
  await replica.resumeReplay()
  await vi.waitFor(async () => expect(await db.where()).toEqual(['replica: read']), { timeout: 5_000 })
})

test('by the bytes that were not replayed', async () => {
  await using db = await open({ maxLagBytes: 20_000, maxLagMs: 3_600_000 })
  await replica.pauseReplay()
  await cluster.primary.query('insert into item (name) select md5(n::text) from generate_series(1, 2000) n')
  await vi.waitFor(async () => expect(await db.where()).toEqual(['primary: no-replica']), { timeout: 5_000 })
  expect(db.dialect.status().nodes[1]?.lagBytes).toBeGreaterThan(20_000)
  await replica.resumeReplay()
  await vi.waitFor(async () => expect(await db.where()).toEqual(['replica: read']), { timeout: 5_000 })
})

test('by a node’s own bound', async () => {
  await using db = await open({ replicas: [{ pool: poolOf(replica), maxLagMs: 100 }], maxLagMs: 3_600_000 })
  await replica.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('unseen')")
  await vi.waitFor(async () => expect(await db.where()).toEqual(['primary: no-replica']), { timeout: 5_000 })
  await replica.resumeReplay()
})

describe('as Aurora tells it', () => {
  test('of the server that is asked', async () => {
    await cluster.primary.query('truncate aurora_lag')
    await cluster.primary.query('insert into aurora_lag values (20)')
    await cluster.waitForCatchup()
    await using db = await open({ lagSource: 'aurora' })
    expect(await db.where()).toEqual(['replica: read'])
    expect(db.dialect.status().nodes[1]?.lagMs).toBe(20)
    await cluster.primary.query('update aurora_lag set ms = 5000')
    await vi.waitFor(async () => expect(await db.where()).toEqual(['primary: no-replica']), {
      timeout: 10_000,
    })
  })

  test('where it says nothing the replica serves nobody', async () => {
    await cluster.primary.query('truncate aurora_lag')
    await cluster.waitForCatchup()
    await using db = await open({ lagSource: 'aurora' })
    expect(await db.where()).toEqual(['primary: no-replica'])
    expect(db.dialect.status().nodes[1]?.because).toBe('lag-unknown')
  })

  test('where it is not Aurora that is said once', async () => {
    const plain = (node: PostgresNode) => ({ ...poolConfig(node), database: 'postgres' })
    const warnings = await warningsOf(async () => {
      await using db = await open({
        lagSource: 'aurora',
        primary: plain(cluster.primary),
        replicas: [plain(replica)],
      })
      expect(db.dialect.status().nodes[1]).toMatchObject({ health: 'up', because: 'lag-unknown' })
      expect(await db.where()).toEqual(['primary: no-replica'])
    })
    // Of each node.
    expect(warnings.filter((code) => code === 'WRITE_PINNING_NODE_UNREADABLE')).toHaveLength(2)
  })
})

describe('by a function', () => {
  test('that may ask the replica', async () => {
    let lagMs = 5
    await using db = await open({
      lagSource: async ({ name, query }) => {
        expect(name).toBe('replica-1')
        const [row] = await query<{ recovery: boolean }>('select pg_is_in_recovery() as recovery')
        return row?.recovery ? lagMs : undefined
      },
    })
    expect(await db.where()).toEqual(['replica: read'])
    lagMs = 2_000
    await vi.waitFor(async () => expect(await db.where()).toEqual(['primary: no-replica']), {
      timeout: 10_000,
    })
    lagMs = 0
    await vi.waitFor(async () => expect(await db.where()).toEqual(['replica: read']), { timeout: 10_000 })
  })

  const useless: Record<string, () => never> = {
    throws: () => {
      throw new Error('no')
    },
    'gives nothing': () => undefined as never,
    'gives no number': () => 'soon' as never,
    'gives a negative number': () => -1 as never,
    'never answers': () => new Promise(() => {}) as never,
  }
  for (const [name, lagSource] of Object.entries(useless)) {
    test(`that ${name} leaves the reads to the primary, and the replica up`, async () => {
      await using db = await open({ lagSource })
      expect(await db.where()).toEqual(['primary: no-replica'])
      expect(db.dialect.status().nodes[1]).toMatchObject({ health: 'up', because: 'lag-unknown' })
    })
  }
})

function poolConfig(node: PostgresNode) {
  return { host: node.host, port: node.port, user: 'postgres' }
}
