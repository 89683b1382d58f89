import { type Kysely, sql } from 'kysely'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { readsOf, startLoad } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { cutReceiver, follow } from '../support/walreceiver.ts'
import { Watched } from '../support/watched.ts'

// A replica is promoted. With `failover: true`, the service goes on without a restart, and writes nothing more to a
// server where it would be lost. Without it, the promoted node is left alone until somebody changes the
// configuration.
const { cluster } = useShop({ replicas: 2, isOfEachTest: true })
let primary: PostgresNode
let first: PostgresNode
let second: PostgresNode

beforeEach(async () => {
  primary = cluster.primary
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

const WAIT = { timeout: 20_000, interval: 10 }

/** A write in a request of its own. Gives the name of the node that took it. */
function writesTo(db: Kysely<Database>): () => Promise<string> {
  let count = 0
  return async () => {
    const insert = sql<{ port: number }>`insert into item (name) values (${`write ${++count}`})
      returning inet_server_port() as port`
    const { rows } = await inRequest(() => insert.execute(db))
    return cluster.nodes.find((node) => node.port === rows[0]?.port)?.name ?? 'nobody'
  }
}

/** Waits until the node is used as the primary. */
const untilPrimary = (watched: Watched, node: PostgresNode) =>
  vi.waitFor(() => expect(watched.node(node.name).role).toBe('primary'), WAIT)

/**
 * Orders two replicas whose primary has died. The one that received more comes first: if it is promoted, the other
 * can follow it.
 */
async function byWalReceived(a: PostgresNode, b: PostgresNode): Promise<[PostgresNode, PostgresNode]> {
  const received = async (node: PostgresNode) => {
    const [row] = await node.query<{ lsn: string }>(`select (pg_last_wal_receive_lsn() - '0/0')::text as lsn`)
    return BigInt(row?.lsn ?? 0)
  }
  return (await received(a)) >= (await received(b)) ? [a, b] : [b, a]
}

const itemsOn = async (node: PostgresNode) => (await node.query('select from item')).length

const FAILOVER = expect.stringMatching(
  /^WRITE_PINNING_FAILOVER: .*'replica-[12]' is the primary now, on timeline 2/,
)

/** The primary dies, one replica is promoted, and the other follows it. */
async function failOver(watched: Watched): Promise<void> {
  await watched.untilEligible(first.name, second.name)
  await primary.kill()
  await first.promote()
  await untilPrimary(watched, first)
  await follow(second, first)
}

describe('with `failover`', () => {
  test('the primary dies and a replica is promoted: no read fails, and writes go on there', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await watched.untilEligible(first.name, second.name)
    const reads = startLoad(readsOf(cluster, watched.db))
    const writes = startLoad(writesTo(watched.db), { perSecond: 50 })
    await more(writes, 50)
    await primary.kill()
    await more(reads, 100)
    const [furthest, other] = await byWalReceived(first, second)
    await furthest.promote()
    const promotedMs = writes.nowMs()
    await untilPrimary(watched, furthest)
    expect(writes.nowMs() - promotedMs).toBeLessThan(2_000)
    const switchedMs = writes.nowMs()
    await more(reads, 100)
    await follow(other, furthest)
    expect(await watched.untilEligible(other.name)).toBeLessThan(5_000)
    const backMs = reads.nowMs()
    await more(reads, 100)
    const read = await reads.stop()
    expect(read.failures()).toEqual([])
    expect(read.slowestMs).toBeLessThan(2_500)
    expect(Object.keys(read.between(backMs).servedBy())).toEqual([other.name])
    const written = await writes.stop()
    expect(written.between(switchedMs).failures()).toEqual([])
    expect(Object.keys(written.between(switchedMs).servedBy())).toEqual([furthest.name])
    expect(watched.warnings).toContainEqual(FAILOVER)
  })

  test('the new primary dies as well: what followed it goes on serving reads', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await failOver(watched)
    await watched.untilEligible(second.name)
    const reads = startLoad(readsOf(cluster, watched.db))
    await more(reads, 50)
    await first.kill()
    // Long enough for several probes.
    await more(reads, 600)
    const report = await reads.stop()
    expect(report.failures().map(String)).toEqual([])
    expect(Object.keys(report.servedBy())).toEqual([second.name])
  })

  test('a replica is promoted while the primary lives: from the switch on that gets no write', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await watched.untilEligible(first.name, second.name)
    const reads = startLoad(readsOf(cluster, watched.db))
    const writes = startLoad(writesTo(watched.db), { perSecond: 50 })
    await more(writes, 50)
    await first.promote()
    await untilPrimary(watched, first)
    const switchedMs = writes.nowMs()
    const itemsOnOld = await itemsOn(primary)
    await more(writes, 50)
    const [read, written] = [await reads.stop(), await writes.stop()]
    expect(read.failures()).toEqual([])
    // The other replica still follows the old primary.
    expect(Object.keys(read.between(switchedMs).servedBy())).toEqual([first.name])
    expect(written.between(switchedMs).failures()).toEqual([])
    expect(Object.keys(written.between(switchedMs).servedBy())).toEqual([first.name])
    expect(await itemsOn(primary)).toBe(itemsOnOld)
    expect(watched.node('primary')).toMatchObject({ role: 'replica', because: 'not-in-recovery' })
    // It is `diverged` if it received writes between the promotion and the switch, and `old-timeline` if there were
    // none.
    expect(watched.node(second.name)).toMatchObject({
      isFit: false,
      because: expect.stringMatching(/^(old-timeline|diverged)$/),
    })
    expect(watched.warnings.filter((warning) => !warning.includes('it diverged at'))).toEqual([
      FAILOVER,
      expect.stringMatching(/^WRITE_PINNING_NODE_ROLE: .*'primary' .* still takes writes/),
      expect.stringMatching(/^WRITE_PINNING_NO_REPLICA_FIT/),
    ])
  })

  test('what is under way on the primary when another takes over cannot be committed there', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await watched.untilEligible(first.name)
    const trx = await watched.db.startTransaction().execute()
    await trx.insertInto('item').values({ name: 'too late' }).execute()
    await first.promote()
    await untilPrimary(watched, first)
    await expect(trx.commit().execute()).rejects.toThrow()
    await trx
      .rollback()
      .execute()
      .catch(() => {})
    expect(await itemsOn(primary)).toBe(0)
    expect(await writesTo(watched.db)()).toBe(first.name)
  })

  test('a turn on the primary that was is given back, though its node is the primary no longer', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await watched.untilEligible(first.name, second.name)
    for (const node of [first, second]) watched.dialect.drain(node.name)
    await openRequest().run(() =>
      watched.db.connection().execute(async (one) => {
        await sql`select 1`.execute(one)
        expect(watched.dialect.status().spilled.running).toBe(1)
        await first.promote()
        await untilPrimary(watched, first)
      }),
    )
    expect(watched.dialect.status().spilled.running).toBe(0)
  })

  test('a connection that is on a replica as that is promoted writes there, over a new session', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await watched.untilEligible(first.name)
    watched.dialect.drain(second.name)
    await openRequest().run(() =>
      watched.db.connection().execute(async (one) => {
        await sql`select 1`.execute(one)
        await first.promote()
        await untilPrimary(watched, first)
        await one.insertInto('item').values({ name: 'x' }).execute()
      }),
    )
    expect([await itemsOn(primary), await itemsOn(first)]).toEqual([0, 1])
    expect(await writesTo(watched.db)()).toBe(first.name)
  })

  test('what the new primary never got is served by nobody, until a replica that has it is rebuilt', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    const { db } = watched
    await watched.untilEligible(first.name, second.name)
    await cutReceiver(first)
    for (let count = 0; count < 20; count++) await writesTo(db)()
    await vi.waitFor(async () => expect(await itemsOn(second)).toBe(20), WAIT)
    const reads = startLoad(readsOf(cluster, db))
    await primary.kill()
    await first.promote()
    await untilPrimary(watched, first)
    const switchedMs = reads.nowMs()
    await follow(second, first)
    // The new primary's position passes that of the lost writes.
    for (let count = 0; count < 100; count++) await writesTo(db)()
    const [ahead] = await first.query<{ is: boolean }>(
      'select pg_current_wal_flush_lsn() > $1::pg_lsn as is',
      [await second.lsn()],
    )
    expect(ahead).toEqual({ is: true })
    await more(reads, 400)
    const read = await reads.stop()
    expect(read.failures()).toEqual([])
    expect(Object.keys(read.between(switchedMs).servedBy())).toEqual([first.name])
    expect(watched.node(second.name)).toMatchObject({ isFit: false })
  })

  test('an old primary that comes back as it was gets neither writes nor reads', async () => {
    await using watched = await Watched.open(cluster, { failover: true })
    await failOver(watched)
    await watched.untilEligible(second.name)
    const reads = startLoad(readsOf(cluster, watched.db))
    const writes = startLoad(writesTo(watched.db), { perSecond: 50 })
    await primary.start()
    await watched.untilUnfit('not-in-recovery', 'primary')
    await more(writes, 50)
    const [read, written] = [await reads.stop(), await writes.stop()]
    expect([...read.failures(), ...written.failures()]).toEqual([])
    expect(Object.keys(read.servedBy())).toEqual([second.name])
    expect(Object.keys(written.servedBy())).toEqual([first.name])
    expect(await itemsOn(primary)).toBe(0)
  })

  test('a service that starts after the failover finds the new primary by itself', async () => {
    await first.promote()
    {
      await using watched = await Watched.open(cluster, { failover: true })
      expect(await writesTo(watched.db)()).toBe(first.name)
      expect(await itemsOn(primary)).toBe(0)
    }
    await primary.kill()
    await using later = await Watched.open(cluster, { failover: true })
    expect(await writesTo(later.db)()).toBe(first.name)
  })
})

describe('a role without privileges', () => {
  const as = (role: string) => (node: PostgresNode) => node.connectionString.replace('postgres@', `${role}@`)

  beforeEach(async () => {
    await primary.query('create role monitor login in role pg_monitor')
    await primary.query('create role plain login')
    await primary.query('grant select, insert on item to monitor, plain')
    await primary.query('grant usage on sequence item_id_seq to monitor, plain')
    await cluster.waitForCatchup()
  })

  test('that is in pg_monitor sees at once that a replica follows the new primary', async () => {
    const replicas = cluster.replicas.map(as('monitor'))
    await using watched = await Watched.open(cluster, {
      failover: true,
      primary: as('monitor')(primary),
      replicas,
    })
    await failOver(watched)
    expect(await writesTo(watched.db)()).toBe(first.name)
    expect(await watched.untilEligible(second.name)).toBeLessThan(5_000)
  })

  test('sees it at the replica’s next restartpoint; until then the new primary serves its reads', async () => {
    const replicas = cluster.replicas.map(as('plain'))
    await using watched = await Watched.open(cluster, {
      failover: true,
      primary: as('plain')(primary),
      replicas,
    })
    await failOver(watched)
    expect(await writesTo(watched.db)()).toBe(first.name)
    expect(await readsOf(cluster, watched.db)()).toBe(first.name)
    await first.query('checkpoint')
    const checkpointed = await first.lsn()
    await vi.waitFor(async () => {
      const [row] = await second.query<{ is: boolean }>(
        'select pg_last_wal_replay_lsn() >= $1::pg_lsn as is',
        [checkpointed],
      )
      expect(row?.is).toBe(true)
    }, WAIT)
    await second.query('checkpoint')
    expect(await watched.untilEligible(second.name)).toBeLessThan(5_000)
  })
})

describe('without `failover`', () => {
  test('a promoted replica is reported once and serves nobody; writes fail with the server’s error', async () => {
    await using watched = await Watched.open(cluster)
    await watched.untilEligible(first.name, second.name)
    const reads = startLoad(readsOf(cluster, watched.db))
    const writes = startLoad(writesTo(watched.db), { perSecond: 50 })
    await more(writes, 50)
    await primary.kill()
    const deadMs = writes.nowMs()
    await first.promote()
    await watched.untilUnfit('not-in-recovery', first.name)
    const promotedMs = reads.nowMs()
    const itemsBefore = await itemsOn(first)
    await more(reads, 200)
    const [read, written] = [await reads.stop(), await writes.stop()]
    expect(read.failures()).toEqual([])
    expect(Object.keys(read.between(promotedMs).servedBy())).toEqual([second.name])
    expect(written.between(deadMs).servedBy()).toEqual({})
    for (const error of written.between(deadMs + 500).failures()) {
      expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    }
    expect(written.slowestMs).toBeLessThan(2_500)
    expect(await itemsOn(first)).toBe(itemsBefore)
    expect(watched.warnings).toEqual([
      expect.stringMatching(/^WRITE_PINNING_NODE_ROLE: .*'replica-1' .* was promoted/),
    ])
  })

  test('a replica that follows the promoted one, while the primary lives, serves nobody', async () => {
    await using watched = await Watched.open(cluster)
    await watched.untilEligible(first.name, second.name)
    // In this order, the replica cannot be ahead of the node that it follows, although the primary goes on writing.
    await follow(second, first)
    await first.promote()
    await vi.waitFor(async () => {
      const [row] = await second.query('select received_tli as timeline from pg_stat_wal_receiver')
      expect(row).toEqual({ timeline: 2 })
    }, WAIT)
    await watched.untilUnfit('not-in-recovery', first.name)
    // The primary's position is ahead of theirs, but theirs belongs to another history.
    for (let count = 0; count < 20; count++) await writesTo(watched.db)()
    const reads = startLoad(readsOf(cluster, watched.db))
    await watched.untilUnfit('newer-timeline', second.name)
    const fromMs = reads.nowMs()
    await more(reads, 300)
    const read = await reads.stop()
    expect(read.failures()).toEqual([])
    expect(Object.keys(read.between(fromMs).servedBy())).toEqual(['primary'])
  })
})
