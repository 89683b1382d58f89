import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// A replica is promoted while the primary lives, and PgBouncer stands in front of each node. There, no start-up
// option makes a session read-only. So only the router keeps a write from the old primary.
const { cluster } = useShop({ replicas: 2, isOfEachTest: true })
let first: PostgresNode
let bouncers: PgBouncer[]

beforeEach(async () => {
  first = cluster.replicas[0] as PostgresNode
  bouncers = await Promise.all(cluster.nodes.map((node) => startPgBouncer(node)))
})

afterEach(() => Promise.all(bouncers.map((bouncer) => bouncer.stop())))

const WAIT = { timeout: 20_000, interval: 10 }

async function open(max: number): Promise<Watched> {
  const [primary, ...replicas] = bouncers.map(({ connectionString }) => ({ connectionString, max }))
  const watched = await Watched.open(cluster, { primary, replicas, failover: true }, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  return watched
}

const untilSwitched = (watched: Watched) =>
  vi.waitFor(() => expect(watched.node(first.name).role).toBe('primary'), WAIT)

const itemsOn = async (node: PostgresNode) => (await node.query('select from item')).length

test('under a load of reads and writes, the old primary gets nothing after the switch', async () => {
  await using watched = await open(10)
  const reads = startLoad(readsOf(cluster, watched.db))
  const writes = startLoad(writesOf(watched.db), { perSecond: 50 })
  await vi.waitFor(() => expect(writes.soFar().operations.length).toBeGreaterThan(50), WAIT)
  await first.promote()
  await untilSwitched(watched)
  const switchedMs = writes.nowMs()
  const before = await itemsOn(cluster.primary)
  await vi.waitFor(
    () => expect(writes.soFar().between(switchedMs).operations.length).toBeGreaterThan(100),
    WAIT,
  )
  const [read, written] = [await reads.stop(), await writes.stop()]
  expect(read.failures().map(String)).toEqual([])
  expect(written.between(switchedMs).failures().map(String)).toEqual([])
  expect(await itemsOn(cluster.primary)).toBe(before)
})

test('what waited for a connection of the old primary runs on the new one', async () => {
  await using watched = await open(1)
  const { db } = watched
  const holding = await db.startTransaction().execute()
  await sql`select 1`.execute(holding)
  const waiting = {
    insert: inRequest(() => db.insertInto('item').values({ name: 'insert' }).execute()),
    transaction: inRequest(() =>
      db.transaction().execute((trx) => trx.insertInto('item').values({ name: 'transaction' }).execute()),
    ),
    stream: inRequest(async () => {
      const query = db.insertInto('item').values({ name: 'stream' }).returning('id')
      for await (const _row of query.stream());
    }),
  }
  const done = Promise.allSettled(Object.values(waiting))
  await first.promote()
  await untilSwitched(watched)
  await holding
    .rollback()
    .execute()
    .catch(() => {})
  const outcomes = (await done).map(({ status }) => status)
  expect(await cluster.primary.query('select name from item')).toEqual([])
  expect(outcomes).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  expect(await itemsOn(first)).toBe(3)
})

test('what waited for a primary that died runs on the one that was promoted', async () => {
  await using watched = await Watched.open(cluster, {
    failover: true,
    primary: { connectionString: cluster.primary.connectionString, max: 1 },
  })
  await watched.untilEligible('replica-1', 'replica-2')
  const { db } = watched
  const holding = await db.startTransaction().execute()
  const waiting = [
    inRequest(() => db.insertInto('item').values({ name: 'insert' }).execute()),
    inRequest(() =>
      db.transaction().execute((trx) => trx.insertInto('item').values({ name: 'transaction' }).execute()),
    ),
  ]
  const done = Promise.allSettled(waiting)
  // Connections stay open, but nothing answers.
  await cluster.primary.freeze()
  await first.promote()
  await untilSwitched(watched)
  await holding
    .rollback()
    .execute()
    .catch(() => {})
  expect((await done).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
  expect(await itemsOn(first)).toBe(2)
  await cluster.primary.thaw()
  expect(await itemsOn(cluster.primary)).toBe(0)
})
