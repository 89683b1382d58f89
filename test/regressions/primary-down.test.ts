import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { usePrimary } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { heldBy, pinOfAgent } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// Who has only read, with `monotonicReads`, does not suffer from a primary that is down; who has written still reads from nobody that
// may not have it.
const { cluster, watch, serveShop } = useShop({ replicas: 2, isOfEachTest: true })
let ahead: PostgresNode
let behind: PostgresNode
let watched: Watched
let openAgent: () => UserAgent

beforeEach(async () => {
  ;[ahead, behind] = cluster.replicas as [PostgresNode, PostgresNode]
  watched = await watch({ probeIntervalMs: 100 }, { counts: false })
  await watched.untilEligible('replica-1', 'replica-2')
  ;({ openAgent } = await serveShop(watched.db, { monotonicReads: true }, async (shop) => {
    shop.get('/count', () => count())
    shop.get('/count-on-primary', () => usePrimary(count))
    shop.get('/counts', async () => [await count(), await count(), await count()])
    shop.get('/stream', async () => {
      const counted = watched.db.selectFrom('item').select(sql<number>`count(*)::int`.as('count'))
      for await (const row of counted.stream()) return row.count
      return undefined
    })
    shop.get('/transaction', () => {
      const reading = watched.db.transaction().setAccessMode('read only')
      return reading.execute(async (trx) => {
        const counted = trx.selectFrom('item').select(sql<number>`count(*)::int`.as('count'))
        return (await counted.executeTakeFirstOrThrow()).count
      })
    })
  }))
})

async function count(): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from item`.execute(watched.db)
  return rows[0]?.count ?? -1
}

/** One more item, which one replica does not have. */
async function addAhead(): Promise<void> {
  await behind.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('more')")
  await cluster.waitForCatchup()
}

async function untilDown(): Promise<void> {
  const nowMs = performance.now()
  await cluster.primary.kill()
  await watched.changed('primary', 'down', nowMs)
}

const PATHS = ['/count', '/counts', '/stream', '/transaction']

describe.each(PATHS)('GET %s', (path) => {
  test('of somebody who has only read goes on while the primary is down, to replicas that have what was seen', async () => {
    await addAhead()
    const user = openAgent()
    watched.dialect.drain('replica-2')
    const seen = (await user.get('/count')).json()
    watched.dialect.resume('replica-2')
    await untilDown()
    for (let time = 0; time < 10; time++) {
      const answer = await user.get(path)
      expect(answer.status, answer.body).toBe(200)
      expect([answer.json()].flat()).toEqual([answer.json()].flat().map(() => seen))
    }
    // Where nobody has it any more, it fails rather than to go back in time.
    watched.dialect.drain('replica-1')
    expect((await user.get(path)).status).toBe(500)
    // Who has seen nothing yet reads what there is.
    expect((await openAgent().get(path)).status).toBe(200)
  })

  test('of somebody who has written fails, where no replica is known to have it', async () => {
    const user = openAgent()
    for (const replica of cluster.replicas) await replica.pauseReplay()
    await user.post('/items/own')
    await untilDown()
    for (const replica of cluster.replicas) await replica.resumeReplay()
    expect((await user.get(path)).status).toBe(500)
  })
})

test('what was seen on the primary itself is read from replicas that have it, when it has crashed', async () => {
  const user = openAgent()
  const seen = (await user.get('/count-on-primary')).json()
  await cluster.waitForCatchup()
  await cluster.primary.kill()
  // At once: nobody has noticed yet.
  for (let time = 0; time < 5; time++) expect((await user.get('/count')).json()).toBe(seen)
})

test('where nobody could say how far a read had seen, its reader is served all the same', async () => {
  await addAhead()
  const options = { primary: cluster.primary.connectionString, replicas: [ahead, behind].map(urlOf) }
  // This source of lag tells no positions.
  await using blind = await Watched.open(
    cluster,
    { ...options, lagSource: () => 0, probeIntervalMs: 100 },
    { counts: false },
  )
  await blind.untilEligible('replica-1', 'replica-2')
  const shop = await serveShop(blind.db, { monotonicReads: true })
  const user = shop.openAgent()
  await user.get('/items/more')
  expect(heldBy(await pinOfAgent(user))).toBe('primary')
  const nowMs = performance.now()
  await cluster.primary.kill()
  await blind.changed('primary', 'down', nowMs)
  for (let time = 0; time < 5; time++) expect((await user.get('/items/more')).status).toBe(200)
})

test('where all replicas are late as well, its reader is served by one that has what was seen', async () => {
  await using late = await Watched.open(cluster, { maxLagMs: 1_000, probeIntervalMs: 100 }, { counts: false })
  await late.untilEligible('replica-1', 'replica-2')
  const shop = await serveShop(late.db, { monotonicReads: true }, async (routes) => {
    const countOn = async (db: typeof late.db) => {
      const counted = db.selectFrom('item').select(sql<number>`count(*)::int`.as('count'))
      return (await counted.executeTakeFirstOrThrow()).count
    }
    routes.get('/count', () => countOn(late.db))
    routes.get('/connection', () =>
      late.db.connection().execute(async (connection) => {
        await countOn(connection)
        return countOn(connection)
      }),
    )
    routes.get('/transaction', () => late.db.transaction().setAccessMode('read only').execute(countOn))
  })
  await addAhead()
  const user = shop.openAgent()
  late.dialect.drain('replica-2')
  const seen = (await user.get('/count')).json()
  late.dialect.resume('replica-2')
  const nowMs = performance.now()
  // Neither has what comes now, of which the primary has told before it dies.
  await ahead.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('last')")
  for (const name of ['replica-1', 'replica-2']) await late.changed(name, 'unfit', nowMs)
  await cluster.primary.kill()
  await late.changed('primary', 'down', nowMs)
  for (let time = 0; time < 10; time++) {
    for (const path of ['/count', '/connection', '/transaction']) {
      const answer = await user.get(path)
      expect(answer.status, answer.body).toBe(200)
      expect(answer.json()).toBe(seen)
    }
  }
  late.dialect.drain('replica-1')
  expect((await user.get('/count')).status).toBe(500)
})

function urlOf(node: PostgresNode): string {
  return node.connectionString
}
