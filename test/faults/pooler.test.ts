import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { capturePin, runWithPin, useNode, usePrimary } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { Watched } from '../support/watched.ts'

// PgBouncer in transaction mode stands in front of each node. A session belongs to a client for one transaction at
// most.
const { cluster } = useShop({ replicas: 2 })
let first: PostgresNode
let second: PostgresNode
let bouncers: PgBouncer[]

const SETTINGS = { default_pool_size: 10, server_login_retry: 1, query_wait_timeout: 5 }

beforeAll(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
  bouncers = await Promise.all(cluster.nodes.map((node) => startPgBouncer(node, SETTINGS)))
})

afterAll(() => Promise.all(bouncers.map((bouncer) => bouncer.stop())))

/** Opens a database behind the poolers. PgBouncer keeps its own connections to the servers, so nobody counts them. */
async function open(options: Partial<PrimaryReplicaDialectOptions> = {}): Promise<Watched> {
  const [primary, ...replicas] = bouncers.map(({ connectionString }) => connectionString)
  const watched = await Watched.open(cluster, { primary, replicas, ...options }, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  return watched
}

const portOf = (db: Kysely<Database>) => async () => {
  const { rows } = await sql<{ port: number }>`select inet_server_port() as port`.execute(db)
  return cluster.nodes.find((node) => node.port === rows[0]?.port)?.name
}

test('at the start it is said once for each replica what cannot be had', async () => {
  await using watched = await open()
  const load = startLoad(readsOf(cluster, watched.db))
  await more(load, 100)
  expect((await load.stop()).failures()).toEqual([])
  expect(watched.warnings).toEqual([
    expect.stringMatching(/^WRITE_PINNING_NOT_READ_ONLY: .*'replica-\d'/),
    expect.stringMatching(/^WRITE_PINNING_NOT_READ_ONLY: .*'replica-\d'/),
  ])
})

test('and where PgBouncer drops the option without a word, it is said as well', async () => {
  const lenient = { ...SETTINGS, ignore_startup_parameters: 'options' }
  await using bouncer = await startPgBouncer(first, lenient)
  await using watched = await open({ replicas: [bouncer.connectionString, second.connectionString] })
  const load = startLoad(readsOf(cluster, watched.db))
  await more(load, 200)
  expect((await load.stop()).failures()).toEqual([])
  expect(watched.warnings).toEqual([
    expect.stringMatching(/^WRITE_PINNING_NOT_READ_ONLY: .*'replica-1' drops/),
  ])
})

test('reads, writes, pins and transactions go where they belong', async () => {
  await using watched = await open()
  const { db } = watched
  const where = portOf(db)
  expect(await inRequest(where)).toMatch(/^replica-/)
  expect(await openRequest({ pinnedUntilMs: Date.now() + 10_000 }).run(where)).toBe('primary')
  expect(await inRequest(() => usePrimary(where))).toBe('primary')
  expect(await inRequest(() => useNode('replica-2', where))).toBe('replica-2')
  await inRequest(async () => {
    await db.insertInto('item').values({ name: 'written' }).execute()
    expect(await where()).toBe('primary')
  })
  await inRequest(() =>
    db.transaction().execute(async (trx) => {
      expect(await portOf(trx)()).toBe('primary')
      await trx.insertInto('item').values({ name: 'in a transaction' }).execute()
    }),
  )
  await cluster.waitForCatchup()
  await inRequest(() =>
    db
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        expect(await portOf(trx)()).toMatch(/^replica-/)
        expect(await trx.selectFrom('item').select('name').execute()).toHaveLength(2)
      }),
  )
  // A write that a replica refuses.
  await cluster.primary.query(`create function adding() returns int stable language sql as 'select 1'`)
  await cluster.waitForCatchup()
  await cluster.primary.query(
    `create or replace function adding() returns int volatile language sql as
     'insert into item (name) values (''by a function'') returning 1'`,
  )
  await inRequest(() => sql`select adding()`.execute(db))
  expect(await cluster.primary.query("select from item where name = 'by a function'")).toHaveLength(1)
})

test('nothing of ours is left in a session that somebody else gets', async () => {
  await using bouncer = await startPgBouncer(cluster.primary, { ...SETTINGS, default_pool_size: 1 })
  await using replicaBouncer = await startPgBouncer(first, { ...SETTINGS, default_pool_size: 1 })
  const settings = async ({ connectionString }: PgBouncer) => {
    const client = new pg.Client({ connectionString })
    await client.connect()
    const { rows } = await client.query(
      "select name, setting from pg_settings where source in ('session', 'client') and name <> 'application_name'",
    )
    const locks = await client.query("select from pg_locks where locktype = 'advisory'")
    const { rows: readOnly } = await client.query('show default_transaction_read_only')
    await client.end()
    return [rows, locks.rowCount, readOnly]
  }
  const before = [await settings(bouncer), await settings(replicaBouncer)]
  {
    await using watched = await open({
      primary: bouncer.connectionString,
      replicas: [replicaBouncer.connectionString, second.connectionString],
    })
    const load = startLoad(readsOf(cluster, watched.db))
    await writesOf(watched.db)()
    await inRequest(() =>
      watched.db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute((trx) => sql`select pg_advisory_xact_lock(1)`.execute(trx)),
    )
    await inRequest(() =>
      watched.db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => sql`select set_config('work_mem', '1MB', true)`.execute(trx)),
    )
    await more(load, 100)
    expect((await load.stop()).failures()).toEqual([])
    expect([await settings(bouncer), await settings(replicaBouncer)]).toEqual(before)
  }
  expect([await settings(bouncer), await settings(replicaBouncer)]).toEqual(before)
})

describe('a fault', () => {
  test('PgBouncer before a replica is killed: no read fails; it is back once another one answers', async () => {
    const bouncer = await startPgBouncer(first, SETTINGS)
    await using proxy = await TcpProxy.start(bouncer)
    await using watched = await open({ replicas: [proxy.connectionString, second.connectionString] })
    const reads = startLoad(readsOf(cluster, watched.db))
    await more(reads, 100)
    await bouncer.stop()
    proxy.cut()
    expect(await watched.untilUnfit('down', 'replica-1')).toBeLessThan(2_000)
    await more(reads, 100)
    await using another = await startPgBouncer(first, SETTINGS)
    proxy.targets = [another]
    expect(await watched.untilEligible('replica-1')).toBeLessThan(2_000)
    const report = await reads.stop()
    expect(report.failures().map(String)).toEqual([])
    expect(report.slowestMs).toBeLessThan(2_500)
  })

  test('the replica behind it is killed while PgBouncer lives: no read fails, and it comes back', async () => {
    await using watched = await open()
    const reads = startLoad(readsOf(cluster, watched.db))
    await more(reads, 100)
    await first.kill()
    const downMs = await watched.untilUnfit('down', 'replica-1')
    await more(reads, 300)
    await first.start()
    const upMs = await watched.untilEligible('replica-1')
    const report = await reads.stop()
    expect(report.failures().map(String)).toEqual([])
    expect(downMs).toBeLessThan(2_500)
    expect(report.slowestMs).toBeLessThan(2_500)
    // PgBouncer itself does not try again before its `server_login_retry` has passed.
    expect(upMs).toBeLessThan(4_000)
  })

  test('the replica behind it freezes: reads in flight are answered elsewhere', async () => {
    await using watched = await open()
    const reads = startLoad(readsOf(cluster, watched.db))
    await more(reads, 100)
    await first.freeze()
    await watched.untilUnfit('down', 'replica-1')
    await more(reads, 200)
    await first.thaw()
    await watched.untilEligible('replica-1')
    const report = await reads.stop()
    expect(report.failures().map(String)).toEqual([])
    expect(report.slowestMs).toBeLessThan(2_500)
  })

  test('a replica that is late serves nobody', async () => {
    await using watched = await open({ maxLagMs: 500 })
    await first.pauseReplay()
    await cluster.primary.query("insert into item (name) values ('late')")
    await watched.untilUnfit('lagging', 'replica-1')
    await first.resumeReplay()
    expect(await watched.untilEligible('replica-1')).toBeLessThan(2_500)
  })

  test('PgBouncer takes no more clients: no read fails, and nobody is ejected', async () => {
    await using bouncer = await startPgBouncer(first, { ...SETTINGS, max_client_conn: 4 })
    await using proxy = await TcpProxy.start(bouncer)
    await using watched = await open({ replicas: [proxy.connectionString, second.connectionString] })
    const fillers: pg.Client[] = []
    for (;;) {
      const client = new pg.Client({ connectionString: bouncer.connectionString })
      client.on('error', () => {})
      const isTaken = await client.connect().then(
        () => true,
        () => false,
      )
      if (!isTaken) break
      fillers.push(client)
    }
    const accepted = proxy.accepted
    const reads = startLoad(readsOf(cluster, watched.db))
    await more(reads, 400)
    const report = await reads.stop()
    await Promise.all(fillers.map((client) => client.end()))
    expect(report.failures().map(String)).toEqual([])
    expect(proxy.accepted - accepted).toBeLessThanOrEqual(report.operations.length)
    expect(watched.changes.filter((change) => change.includes('down'))).toEqual([])
  })

  test('a read that waits too long for a server in PgBouncer’s queue runs elsewhere', async () => {
    await using bouncer = await startPgBouncer(first, {
      ...SETTINGS,
      default_pool_size: 2,
      query_wait_timeout: 1,
    })
    await using watched = await open({ replicas: [bouncer.connectionString, second.connectionString] })
    const holders = [1, 2].map(() => new pg.Client({ connectionString: bouncer.connectionString }))
    for (const holder of holders) {
      await holder.connect()
      await holder.query('begin')
    }
    const reads = startLoad(readsOf(cluster, watched.db))
    await more(reads, 500)
    const report = await reads.stop()
    for (const holder of holders) await holder.end()
    expect(report.failures().map(String)).toEqual([])
  })
})

test.each(['a stream', 'a read-only transaction'])(
  '%s under an exact pin is served by the primary, at once',
  async (what) => {
    await using watched = await open()
    const { db } = watched
    const pinned = async () => {
      await db.insertInto('item').values({ name: 'own' }).execute()
      return await capturePin()
    }
    const token = await runWithPin(undefined, pinned, { pin: 'exact' })
    await cluster.waitForCatchup()
    const routes = await routesOf(() =>
      runWithPin(token, async () => {
        if (what === 'a stream') for await (const _ of db.selectFrom('item').select('id').stream());
        else {
          const reading = db.transaction().setAccessMode('read only')
          await reading.execute((trx) => trx.selectFrom('item').select('id').execute())
        }
      }),
    )
    // Each replica may have been asked once. Behind a pooler, it cannot prove that it is as far.
    expect(routes.at(-1)?.node).toBe('primary')
    expect(routes.length).toBeLessThan(10)
  },
)
