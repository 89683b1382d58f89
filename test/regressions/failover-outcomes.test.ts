import { type Kysely, sql } from 'kysely'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { openRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// The primary hangs while it commits, and its replica, which has the commit on its disk, is promoted: what was under way is there, and the
// old primary's answer never comes.
const { cluster, watch } = useShop({ synchronous: true, isOfEachTest: true })
let replica: PostgresNode
let watched: Watched

beforeEach(async () => {
  replica = cluster.replicas[0] as PostgresNode
  watched = await watch({ failover: true, probeIntervalMs: 50 }, { counts: false })
  await watched.untilEligible('replica-1')
})

afterEach(() => cluster.primary.thaw().catch(() => {}))

/** Runs what commits, has the cluster fail over meanwhile, and gives the error. */
async function loseInFailover(committing: () => Promise<unknown>): Promise<unknown> {
  await replica.pauseReplay()
  const error = committing().then(
    () => undefined,
    (given: unknown) => given,
  )
  await vi.waitFor(async () => {
    const waiting = await cluster.primary.query(
      "select from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'watched'",
    )
    expect(waiting).toHaveLength(1)
  })
  await cluster.primary.freeze()
  await replica.promote()
  return await error
}

const add = (on: Kysely<Database>) => on.insertInto('item').values({ name: 'x' }).execute()
const areThere = async () => (await replica.query('select from item')).length
const UNKNOWN = expect.objectContaining({ code: 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME' })

test('a transaction whose COMMIT is lost in a failover has an unknown outcome, and counts as a write', async () => {
  const request = openRequest()
  const error = await loseInFailover(() => request.run(() => watched.db.transaction().execute(add)))
  expect(error).toEqual(UNKNOWN)
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
  expect(await areThere()).toBe(1)
})

test('a controlled transaction whose COMMIT is lost in a failover has an unknown outcome, also where it is rolled back then', async () => {
  const request = openRequest()
  const trx = await request.run(() => watched.db.startTransaction().execute())
  await request.run(() => add(trx))
  expect(await loseInFailover(() => request.run(() => trx.commit().execute()))).toEqual(UNKNOWN)
  await expect(trx.rollback().execute()).rejects.toEqual(UNKNOWN)
  expect(await areThere()).toBe(1)
})

test('a write that is under way in a failover counts as one', async () => {
  const request = openRequest()
  const error = await loseInFailover(() => request.run(() => add(watched.db)))
  expect(error).toBeInstanceOf(Error)
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
  expect(await areThere()).toBe(1)
})

test('a commit by a text that is lost in a failover counts as a write', async () => {
  const request = openRequest()
  const writing = () =>
    request.run(() =>
      watched.db.transaction().execute(async (trx) => {
        await add(trx)
        await sql`commit`.execute(trx)
      }),
    )
  expect(await loseInFailover(writing)).toBeInstanceOf(Error)
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
  expect(await areThere()).toBe(1)
})
