import { type Kysely, sql } from 'kysely'
import { beforeEach, expect, test, vi } from 'vitest'
import { usePrimary } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { seesOn } from '../support/exact.ts'
import { routesOf } from '../support/routes.ts'
import { namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { type Watched, watchedPool } from '../support/watched.ts'

// A replica that cannot prove what is claimed of it is not asked again and again, whatever the connection is on already.
const { cluster, watch, serveShop } = useShop({ replicas: 2, isOfEachTest: true })
let first: PostgresNode
let second: PostgresNode

beforeEach(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

async function open(options: Parameters<typeof Watched.open>[1]): Promise<Watched> {
  const watched = await watch(options, { counts: false })
  return watched
}

test('a read under a pin is sent once to a replica that was promoted, before anybody has noticed', async () => {
  const watched = await open({
    probeIntervalMs: 3_600_000,
    choose: (all) => all.find(({ name }) => name === 'replica-1') ?? all[0]?.name ?? '',
    // Each read has a session that has told nothing yet.
    replicas: [first, second].map((node) => namedPool(node, 'watched', { maxUses: 1 })),
  })
  await watched.untilEligible('replica-1', 'replica-2')
  const { openAgent } = await serveShop(watched.db)
  const agent = openAgent()
  await agent.post('/items/own')
  await cluster.waitForCatchup()
  await vi.waitFor(async () => expect(await seesOn(agent, 'own')).toEqual([true, 'replica-1']), 5_000)
  await first.promote()
  expect(await seesOn(agent, 'own')).toEqual([true, 'replica-1,replica-2'])
})

test('a read behind a balanced name that is not as far is sent there once, while the primary is down', async () => {
  const watched = await open({
    replicas: [{ name: 'reader', pool: watchedPool(first), loadBalanced: true }],
    probeIntervalMs: 100,
  })
  await watched.untilEligible('reader')
  const { openAgent } = await serveShop(watched.db, { monotonicReads: true }, async (shop) => {
    shop.get('/on-primary', () => usePrimary(() => count(watched.db)))
    shop.get('/count', () => count(watched.db))
  })
  const agent = openAgent()
  await first.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('seen')")
  expect((await agent.get('/on-primary')).json()).toBe(1)
  const nowMs = performance.now()
  await cluster.primary.kill()
  await watched.changed('primary', 'down', nowMs)
  const routes = await routesOf(async () => expect((await agent.get('/count')).status).toBe(500))
  expect(routes.filter(({ node }) => node === 'reader')).toHaveLength(1)
})

test('one lost connection to the primary does not make a read go back in time, where nobody knows how far it had seen', async () => {
  // This source of lag tells no positions.
  const watched = await open({ replicas: [watchedPool(first)], lagSource: () => 0, probeIntervalMs: 100 })
  await watched.untilEligible('replica-1')
  const { openAgent } = await serveShop(watched.db, { monotonicReads: true }, async (shop) => {
    shop.get('/on-primary', () => usePrimary(() => count(watched.db)))
    shop.get('/slowly', async () => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from item, pg_sleep(case when pg_is_in_recovery() then 0 else 0.5 end)`.execute(
        watched.db,
      )
      return rows[0]?.count ?? -1
    })
  })
  const agent = openAgent()
  await first.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('seen')")
  expect((await agent.get('/on-primary')).json()).toBe(1)
  const reading = agent.get('/slowly')
  await vi.waitFor(async () => expect(await terminateSleeper()).toBe(1), { interval: 5 })
  expect((await reading).json()).toBe(1)
})

async function count(db: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from item`.execute(db)
  return rows[0]?.count ?? -1
}

async function terminateSleeper(): Promise<number> {
  const ended = await cluster.primary.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where state = 'active' and query like '%pg_sleep%' and pid <> pg_backend_pid()`,
  )
  return ended.length
}
