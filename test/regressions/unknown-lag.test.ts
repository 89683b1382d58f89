import { Kysely, sql } from 'kysely'
import pg from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { type PostgresNode, startPostgresCluster } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { ReadingProcess } from '../support/reading-process.ts'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { codeOf } from '../support/warnings.ts'
import { Watched } from '../support/watched.ts'

// How late a replica is, nobody knows before it has replayed what the primary had written when it was first seen: after a start, or after
// this process, its host, or the primary was away for a while.
const { cluster } = useShop({ replicas: 2, isOfEachTest: true })
let watched: Watched

const WAIT = { timeout: 20_000, interval: 10 }
const MAX_LAG_MS = 1_000
/** Sightings that are older than this, and what lag is left to a replica, are good for nothing. */
const QUICK = { maxLagMs: MAX_LAG_MS, probeIntervalMs: 100, probeTimeoutMs: 300 }
const TOO_LATE_MS = MAX_LAG_MS + 2 * 100 + 3 * 300

const pauseAll = () => Promise.all(cluster.replicas.map((replica) => replica.pauseReplay()))
const resumeAll = () => Promise.all(cluster.replicas.map((replica) => replica.resumeReplay()))
const addItem = () => cluster.primary.query("insert into item (name) values ('new')")

/** What a request reads that wrote nothing, and whether a replica gave it. */
async function read(): Promise<{ count: number; port: number }> {
  const query = sql<{ count: number; port: number }>`
    select count(*)::int as count, current_setting('port')::int as port from item`
  return (await inRequest(() => query.execute(watched.db))).rows[0] as { count: number; port: number }
}

/** The replicas lack a write that is older than they may be late. */
async function makeTooLate(): Promise<void> {
  await pauseAll()
  await addItem()
  const [late] = (await cluster.primary.query('select clock_timestamp()::text as at')) as [{ at: string }]
  await vi.waitFor(async () => {
    const [row] = await cluster.primary.query<{ ms: number }>(
      'select extract(epoch from clock_timestamp() - $1::timestamptz)::float8 * 1000 as ms',
      [late.at],
    )
    expect(row?.ms).toBeGreaterThan(TOO_LATE_MS + 500)
  }, WAIT)
}

describe('a process that starts while all replicas are late', () => {
  test('reads from the primary, says why, and reads from a replica as soon as it has caught up', async () => {
    await pauseAll()
    await addItem()
    watched = await Watched.open(cluster)
    const deadlineMs = performance.now() + 2_500
    while (performance.now() < deadlineMs) {
      expect(await read()).toEqual({ count: 1, port: cluster.primary.port })
      await watched.untilUnfit('lag-unknown', 'replica-1', 'replica-2')
    }
    await vi.waitFor(() => expect(watched.codes()).toEqual(['WRITE_PINNING_NO_REPLICA_FIT']), WAIT)
    expect(watched.warnings[0]).toMatch(/'replica-1' has not replayed yet what the primary had written/)
    expect(watched.node('replica-1').lagMs).toBeUndefined()
    await resumeAll()
    await vi.waitFor(async () => expect((await read()).port).not.toBe(cluster.primary.port), WAIT)
    expect(watched.codes()).toContain('WRITE_PINNING_REPLICA_FIT_AGAIN')
    await watched.close()
  })

  test('and the primary is down reads from the one that is least late, with `whenNoReplica: "error"` too', async () => {
    const [ahead, behind] = cluster.replicas as [PostgresNode, PostgresNode]
    await behind.pauseReplay()
    await addItem()
    await cluster.waitForCatchup()
    await ahead.pauseReplay()
    await addItem()
    await cluster.primary.kill()
    for (const whenNoReplica of ['primary', 'error'] as const) {
      watched = await Watched.open(cluster, { whenNoReplica }, { counts: false })
      for (let count = 0; count < 10; count++) expect((await read()).port).not.toBe(cluster.primary.port)
      await watched.close()
    }
  })
})

test('a replica of which nobody knows how late it is serves beside no other, also where the primary is down', async () => {
  const [fresh, late] = cluster.replicas as [PostgresNode, PostgresNode]
  await late.pauseReplay()
  await addItem()
  await vi.waitFor(async () => expect(await fresh.query('select 1 from item')).toHaveLength(1), WAIT)
  watched = await Watched.open(cluster)
  await watched.untilEligible('replica-1')
  await watched.untilUnfit('lag-unknown', 'replica-2')
  await cluster.primary.kill()
  await vi.waitFor(() => expect(watched.node('primary').health).toBe('down'), WAIT)
  for (let count = 0; count < 20; count++) expect(await read()).toEqual({ count: 1, port: fresh.port })
  await watched.close()
})

test('a process that starts while the primary has no connection left reads from the replicas, with `whenNoReplica: "error"` too', async () => {
  const full = await startPostgresCluster({ replicas: 1, settings: { max_connections: 12 } })
  await full.primary.query('create role app login; create table item (id int); grant select on item to app')
  await full.waitForCatchup()
  const as = ({ connectionString }: PostgresNode) => connectionString.replace('postgres@', 'app@')
  const held: pg.Client[] = []
  for (let isFull = false; !isFull; ) {
    const client = new pg.Client(as(full.primary))
    await client.connect().then(
      () => held.push(client),
      () => {
        isFull = true
      },
    )
  }
  for (const whenNoReplica of ['primary', 'error'] as const) {
    const replicas = full.replicas.map(as)
    const dialect = new PrimaryReplicaDialect({ primary: as(full.primary), replicas, whenNoReplica })
    const db = new Kysely<Database>({ dialect })
    const routes = await whereAndWhyInRequest(async () => {
      for (let count = 0; count < 10; count++) await sql`select from item`.execute(db)
    })
    expect(new Set(routes)).toEqual(new Set(['replica: read']))
    await db.destroy()
  }
  for (const client of held) await client.end()
  await full.stop()
})

test('one replica in a black hole does not keep the late one from the reads that are too many for the primary', async () => {
  const [lost, late] = cluster.replicas as [PostgresNode, PostgresNode]
  await using proxy = await TcpProxy.start(lost)
  await proxy.blackHole()
  await late.pauseReplay()
  await addItem()
  const primary = new pg.Pool({ connectionString: cluster.primary.connectionString, max: 4 })
  const replicas = [proxy.connectionString, late.connectionString]
  watched = await Watched.open(cluster, { primary, replicas }, { counts: false })
  // As soon as it is not to be known any moment how late that one is.
  const where = sql<{ port: number }>`select current_setting('port')::int as port, pg_sleep(1.5)`
  const reads = Array.from({ length: 6 }, () => inRequest(() => where.execute(watched.db)))
  const ports = (await Promise.all(reads)).map(({ rows }) => rows[0]?.port)
  expect(new Set(ports)).toEqual(new Set([cluster.primary.port, late.port]))
  await watched.close()
})

test('a process that starts while the primary writes and the replicas are well reads from them within moments, and warns of nothing', async () => {
  watched = await Watched.open(cluster)
  const writes = startLoad(writesOf(watched.db), { perSecond: 200 })
  await more(writes, 50)
  for (let start = 0; start < 5; start++) {
    const other = await Watched.open(cluster, {}, { counts: false })
    await other.untilEligible('replica-1', 'replica-2')
    expect(other.warnings).toEqual([])
    await other.close()
  }
  await writes.stop()
  await watched.close()
})

test('a process that was stopped takes no replica for fresh on the strength of what it knew before', async () => {
  await using reader = await ReadingProcess.start(cluster, QUICK)
  await vi.waitFor(async () => expect((await reader.count()).port).not.toBe(cluster.primary.port), WAIT)
  for (let round = 1; round <= 3; round++) {
    reader.stop()
    await makeTooLate()
    // As many as the primary serves at a time of the reads of replicas.
    const reads = Array.from({ length: 5 }, () => reader.count())
    reader.goOn()
    for (const { count } of await Promise.all(reads)) expect(count).toBe(round)
    // And a while on: what it hears first may be an answer from before.
    for (let count = 0; count < 200; count++) expect((await reader.count()).count).toBe(round)
    await resumeAll()
    await cluster.waitForCatchup()
    await vi.waitFor(async () => expect((await reader.count()).port).not.toBe(cluster.primary.port), WAIT)
  }
})

test('a process that was stopped while all was well reads from replicas again within moments, and warns of nothing', async () => {
  await using reader = await ReadingProcess.start(cluster, QUICK)
  await vi.waitFor(async () => expect((await reader.count()).port).not.toBe(cluster.primary.port), WAIT)
  for (let round = 1; round <= 3; round++) {
    reader.stop()
    await makeTooLate()
    await resumeAll()
    await cluster.waitForCatchup()
    const first = reader.count()
    reader.goOn()
    expect((await first).count).toBe(round)
    await vi.waitFor(async () => expect((await reader.count()).port).not.toBe(cluster.primary.port), WAIT)
  }
  expect(reader.errors).not.toContain('WRITE_PINNING_NO_REPLICA_FIT')
})

test('where the primary was out of sight, a replica that lacks what it wrote meanwhile serves nobody when it is back', async () => {
  await using proxy = await TcpProxy.start(cluster.primary)
  watched = await Watched.open(cluster, { ...QUICK, primary: proxy.connectionString }, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  const awayMs = performance.now()
  await proxy.refuse()
  proxy.cut()
  await watched.changed('primary', 'down', awayMs)
  await makeTooLate()
  expect((await read()).port).not.toBe(cluster.primary.port)
  const backMs = performance.now()
  await proxy.forward()
  await watched.changed('primary', 'up', backMs)
  // They are asked once more, and at once.
  await watched.untilUnfit('lagging', 'replica-1', 'replica-2')
  for (let count = 0; count < 200; count++) expect((await read()).count).toBe(1)
  await resumeAll()
  await watched.untilEligible('replica-1', 'replica-2')
  await watched.close()
})

test('where all replicas are late and the primary is down, whoever wrote nothing reads from the least late', async () => {
  watched = await Watched.open(cluster, QUICK, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  const [ahead, behind] = cluster.replicas as [PostgresNode, PostgresNode]
  await behind.pauseReplay()
  await addItem()
  await watched.untilUnfit('lagging', 'replica-2')
  await ahead.pauseReplay()
  await addItem()
  await watched.untilUnfit('lagging', 'replica-1', 'replica-2')
  await cluster.primary.kill()
  // Before it is known to be down, and after.
  expect(await read()).toEqual({ count: 1, port: ahead.port })
  await vi.waitFor(() => expect(watched.node('primary').health).toBe('down'), WAIT)
  for (let count = 0; count < 20; count++) expect(await read()).toEqual({ count: 1, port: ahead.port })
  await watched.close()
})

test('where all replicas are late and the primary is down, `whenNoReplica: "error"` is an error as ever', async () => {
  watched = await Watched.open(cluster, { ...QUICK, whenNoReplica: 'error' }, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  await makeTooLate()
  await watched.untilUnfit('lagging', 'replica-1', 'replica-2')
  await cluster.primary.kill()
  expect(await codeOf(read)).toBe('ERR_WRITE_PINNING_NO_REPLICA')
  await watched.close()
})

test.each([{ by: 'positions', lagSource: 'wal' as const }, { lagSource: () => 0 }])(
  'after a suspension of the host, what was known by $by is too old, for the status and for reads',
  async ({ lagSource }) => {
    watched = await Watched.open(cluster, { ...QUICK, lagSource })
    await watched.untilEligible('replica-1', 'replica-2')
    // The first statement of all waits for the catalog.
    await read()
    const laterMs = Date.now() + 3_600_000
    // The clock has gone on while the host was suspended; nothing else has.
    const clock = vi.spyOn(Date, 'now').mockReturnValue(laterMs)
    expect(watched.node('replica-1')).toMatchObject({ isFit: false, because: 'lag-unknown' })
    expect((await read()).port).toBe(cluster.primary.port)
    clock.mockRestore()
    await watched.untilEligible('replica-1', 'replica-2')
    await watched.close()
  },
)
