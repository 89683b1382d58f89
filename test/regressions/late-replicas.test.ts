import { sql } from 'kysely'
import { afterEach, expect, test, vi } from 'vitest'
import { usePrimary } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import { readsOf } from '../support/load.ts'
import { inRequest } from '../support/request.ts'
import { clientsOf, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// Every replica is late: who serves then.
const { cluster, watch, serveShop, atEnd } = useShop()

afterEach(async () => {
  await cluster.replicas[0]?.resumeReplay()
  await cluster.waitForCatchup()
})

async function open(options: Partial<PrimaryReplicaDialectOptions>): Promise<Watched> {
  const quick = { maxLagMs: 300, probeIntervalMs: 50 }
  const watched = await watch({ ...quick, ...options }, { counts: false })
  await watched.untilEligible('replica-1')
  return watched
}

async function makeLate(watched: Watched): Promise<void> {
  await cluster.replicas[0]?.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('unseen')")
  await watched.untilUnfit('lagging', 'replica-1')
}

test.each(['time', 'exact'] as const)(
  "`whenNoReplica: 'error'`: who has written reads that on the primary, under a pin of the kind %s; others are refused",
  async (pin) => {
    const watched = await open({ whenNoReplica: 'error' })
    const { openAgent } = await serveShop(watched.db, { pin })
    await makeLate(watched)
    const agent = openAgent()
    await agent.post(`/items/${pin}`)
    const read = await agent.get(`/items/${pin}`)
    expect([read.status, read.json()]).toEqual([200, { isThere: true }])
    expect((await openAgent().get(`/items/${pin}`)).status).toBe(503)
  },
)

test('a read-only transaction that finds no connection to the primary begins on the late replica, as a read is served there', async () => {
  const primary = namedPool(cluster.primary, 'busy', { max: 1, connectionTimeoutMillis: 200 })
  const watched = await open({ primary })
  const { db } = watched
  await makeLate(watched)
  // The one connection of the pool.
  const isHeld = sql`select pg_advisory_lock_shared(1), pg_sleep(60)`
  const holding = inRequest(() => usePrimary(() => isHeld.execute(db))).catch(() => {})
  await vi.waitFor(async () =>
    expect(await clientsOf(cluster.primary, 'busy')).toMatchObject([{ state: 'active' }]),
  )
  atEnd(async () => {
    await cluster.primary.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'busy'",
    )
    await holding
  })
  const where = (isolation: 'read committed' | 'repeatable read') =>
    db
      .transaction()
      .setAccessMode('read only')
      .setIsolationLevel(isolation)
      .execute(async (trx) => {
        const { rows } = await sql<{ port: number }>`select inet_server_port() as port`.execute(trx)
        return cluster.nodes.find(({ port }) => port === rows[0]?.port)?.name
      })
  expect(await readsOf(cluster, db)()).toBe('replica-1')
  expect(await inRequest(() => where('read committed'))).toBe('replica-1')
  expect(await inRequest(() => where('repeatable read'))).toBe('replica-1')
  // Any other transaction needs the primary, and a pinned one, too.
  await expect(
    inRequest(() => db.transaction().execute((trx) => sql`select 1`.execute(trx))),
  ).rejects.toThrow(/timeout/)
  await expect(inRequest(() => usePrimary(() => where('read committed')))).rejects.toThrow(/timeout/)
})
