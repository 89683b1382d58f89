import { Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { type Database, poolOf } from '../support/cluster.ts'
import { heldBy, pinOfAgent, serveShop } from '../support/exact.ts'
import { LYING_PATH, type LyingSchema, makeLyingSchema } from '../support/lying-schema.ts'
import { countsAsWrite, inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// What this package asks servers by itself means the same, whatever an application has made of `pg`, or of the schemas on the path.

const OBJECTS = [
  "create function steady() returns int stable language sql as 'select 7'",
  "create function writing() returns void language sql as $$ insert into public.item (name) values ('w') $$",
  'create table aurora_lag (ms float8)',
  'insert into aurora_lag values (20)',
  `create function pg_catalog.aurora_db_instance_identifier() returns text stable language sql as $$ select 'reader' $$`,
  `create function pg_catalog.aurora_replica_status() returns table (server_id text, replica_lag_in_msec float8)
     stable language sql as $$ select 'reader', ms from public.aurora_lag $$`,
]

describe('where the application parses all types in a way of its own', () => {
  const OIDS = Array.from({ length: 10_000 }, (_, oid) => oid)
  const parsers = OIDS.map((oid) => pg.types.getTypeParser(oid, 'text'))
  // Also while the cluster starts.
  beforeAll(() => {
    for (const oid of OIDS) pg.types.setTypeParser(oid, () => 'absurd')
  })
  const { cluster } = useShop({ sql: OBJECTS })
  afterAll(() => {
    for (const oid of OIDS) pg.types.setTypeParser(oid, parsers[oid] as never)
  })

  allWorks(cluster)
  catalogIsRead(cluster)

  test('a function as `lagSource`, which is the application’s, is answered so', async () => {
    const told: unknown[] = []
    await using opened = open(cluster, {
      lagSource: async ({ query }) => {
        told.push(...(await query('select 1.5::float8 as number')))
        return 0
      },
    })
    expect(await opened.nodeOf('select 1')).toBe('replica-1: read')
    expect(told[0]).toEqual({ number: 'absurd' })
  })
})

describe('where a schema before pg_catalog has functions, operators, types and relations of the same names', () => {
  const { cluster, atEnd } = useShop({ sql: OBJECTS, settings: { search_path: LYING_PATH } })
  let lying: LyingSchema
  beforeAll(async () => {
    lying = await makeLyingSchema(cluster)
    atEnd(() => lying[Symbol.dispose]())
  }, 60_000)

  const TRIED = [
    'select now()',
    "select 'a' = 'a'",
    "select 'a'::text",
    'select max(1)',
    'select from pg_settings',
  ]
  test.each(TRIED)('on a replica too, it takes in %s', async (text) => {
    const replica = cluster.replicas[0] as PostgresNode
    await expect(replica.query(text)).rejects.toThrow('led astray')
    expect(lying.callers).toContain(text)
  })

  allWorks(cluster)
  catalogIsRead(cluster)

  test('and nothing of this package has called any of them', () => {
    expect(lying.callers.filter((text) => !TRIED.includes(text))).toEqual([])
  })
})

function allWorks(cluster: PostgresCluster): void {
  const replica = () => cluster.replicas[0] as PostgresNode

  test('nodes are watched, and replicas serve reads', async () => {
    await using opened = open(cluster)
    expect(await opened.nodeOf('select 1')).toBe('replica-1: read')
    expect(await opened.dialect.ready()).toMatchObject({
      nodes: [
        { role: 'primary', isFit: true, timeline: 1 },
        { role: 'replica', isFit: true, timeline: 1, lagMs: expect.any(Number) },
      ],
    })
    await replica().pauseReplay()
    await cluster.primary.query("insert into item (name) values ('unseen')")
    await opened.becomes('select 1', 'primary: no-replica')
    await replica().resumeReplay()
    await opened.becomes('select 1', 'replica-1: read')
  })

  test.each(['on', 'off'])(
    'exact pins hold, with synchronous_commit = %s',
    async (commits) => {
      await using opened = open(cluster)
      const pinned = async (name: string) => {
        const token = await runWithPin(undefined, () => write(opened.db, name, commits), { pin: 'exact' })
        return <T>(fn: () => T) => runWithPin(token, fn)
      }
      const first = await pinned('first')
      await cluster.waitForCatchup()
      await opened.becomes('select name from item', 'replica-1: pin', first)
      await first(() =>
        opened.db
          .transaction()
          .setAccessMode('read only')
          .execute(async (trx) => {
            expect(await opened.nodeOf('select name from item', undefined, trx)).toBe(
              'replica-1: transaction',
            )
          }),
      )
      await replica().pauseReplay()
      const second = await pinned('second')
      expect(await opened.nodeOf('select name from item', second)).toBe('primary: pin')
      await replica().resumeReplay()
      // What others have written and not committed is flushed by nobody for a while.
      await cluster.waitForCatchup()
      await opened.becomes('select name from item', 'replica-1: pin', second)
    },
    20_000,
  )

  test('reads that must not go back are told how far they have seen', async () => {
    await using opened = open(cluster)
    const { app, openAgent } = await serveShop(opened.db, { monotonicReads: true }, async (routes) => {
      routes.get('/names', () => opened.run('select name from item'))
    })
    await opened.becomes('select 1', 'replica-1: read')
    const agent = openAgent()
    await agent.get('/names')
    expect(heldBy(await pinOfAgent(agent))).toEqual(expect.any(BigInt))
    await app.close()
  })

  test('Aurora tells its lag', async () => {
    await using opened = open(cluster, { lagSource: 'aurora' })
    expect(await opened.nodeOf('select 1')).toBe('replica-1: read')
    expect(opened.dialect.status().nodes[1]?.lagMs).toBe(20)
  })

  test('a test cluster does what it is told', async () => {
    await replica().setApplyDelay(1)
    await replica().setApplyDelay(0)
    await cluster.primary.query("insert into item (name) values ('last')")
    await cluster.waitForCatchup()
    const [primary, followed] = await Promise.all([cluster.primary.lsn(), replica().lsn()])
    expect(followed).toMatch(/^[\dA-F]+\/[\dA-F]+$/)
    expect(primary).toMatch(/^[\dA-F]+\/[\dA-F]+$/)
  })
}

function catalogIsRead(cluster: PostgresCluster): void {
  test('the catalog is known', async () => {
    await using opened = open(cluster)
    await opened.becomes('select name from item', 'replica-1: read')
    expect(await opened.nodeOf('select writing()')).toBe('primary: function')
    // Of relations as well.
    await opened.becomes('select last_value from item_id_seq', 'primary: primary-table')
    expect(await countsAsWrite(opened.db, 'select writing()')).toBe(true)
  })
}

async function write(db: Kysely<Database>, name: string, commits: string): Promise<string | undefined> {
  await db.transaction().execute(async (trx) => {
    await sql`set local synchronous_commit = ${sql.raw(commits)}`.execute(trx)
    await trx.insertInto('item').values({ name }).execute()
  })
  return await capturePin()
}

/** Opens a database on a cluster, whose reads go to the replica as soon as that is known to be fit. */
function open(cluster: PostgresCluster, options: Partial<PrimaryReplicaDialectOptions> = {}) {
  const dialect = new PrimaryReplicaDialect({
    primary: poolOf(cluster.primary),
    replicas: [poolOf(cluster.replicas[0] as PostgresNode)],
    probeIntervalMs: 50,
    maxLagMs: 1_000,
    ...options,
  })
  const db = new Kysely<Database>({ dialect })
  const run = (text: string, on = db) => sql.raw(text).execute(on)
  /** Where a statement runs, and why. */
  const nodeOf = async (text: string, within: <T>(fn: () => T) => T = inRequest, on = db) => {
    const routes = await routesOf(() => within(() => run(text, on)))
    return routes.map(({ node, reason }) => `${node}: ${reason}`).join()
  }
  const becomes = (text: string, node: string, within?: <T>(fn: () => T) => T) =>
    vi.waitFor(async () => expect(await nodeOf(text, within)).toBe(node), 10_000)
  return { db, dialect, run, nodeOf, becomes, [Symbol.asyncDispose]: () => db.destroy() }
}
