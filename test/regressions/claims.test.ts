import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase } from '../support/cluster.ts'
import { type ExactShop, seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { poolThatCounts } from '../support/own-questions.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// What a route claims of its node is true when the statement is sent: a replica that was known to be fresh is asked again, on the
// session of the read itself. Behind the proxy one server is swapped for another, which is behind: as after a crash.
const { cluster, serveShop, atEnd } = useShop({ replicas: 2 })
let fresh: PostgresNode
let behind: PostgresNode
/** Where the application's statements go: the same object all the time, so that a connection that waits goes where it says then. */
const server = { host: '127.0.0.1', port: 0 }
let proxy: TcpProxy
let db: Kysely<Database>
let shop: ExactShop
let agent: UserAgent

beforeAll(async () => {
  ;[fresh, behind] = cluster.replicas as [PostgresNode, PostgresNode]
})

beforeEach(async () => {
  server.port = fresh.port
  proxy = await TcpProxy.start(server)
  atEnd(() => proxy.stop())
})

afterEach(async () => {
  await behind.resumeReplay()
  await cluster.waitForCatchup()
})

/** Serves a shop whose replica is the proxy; the package's own questions go to `questions`. */
async function serve(questions: PostgresNode | TcpProxy): Promise<void> {
  const via = { host: '127.0.0.1', port: questions.port }
  const { pool } = poolThatCounts({ host: '127.0.0.1', port: proxy.port }, via)
  // Each read has a connection of its own.
  Object.assign(pool.options, { idleTimeoutMillis: 1 })
  db = openDatabase(cluster, { replicas: [pool as pg.Pool] })
  shop = await serveShop(db, {}, async (routes) => {
    routes.get('/stream', async () => {
      for await (const { count } of db
        .selectFrom('item')
        .select(sql<number>`count(*)::int`.as('count'))
        .stream()) {
        return count
      }
      return undefined
    })
    for (const isolation of ['read committed', 'repeatable read'] as const) {
      routes.get(`/transaction/${isolation.slice(0, 4)}`, () =>
        db
          .transaction()
          .setAccessMode('read only')
          .setIsolationLevel(isolation)
          .execute(async (trx) => (await countOn(trx)) ?? -1),
      )
    }
    routes.get('/statement', () => countOn(db))
  })
  atEnd(() => db.destroy())
  agent = shop.openAgent()
}

async function countOn(on: Kysely<Database>): Promise<number | undefined> {
  const count = sql<number>`count(*)::int`.as('count')
  return (await on.selectFrom('item').select(count).executeTakeFirst())?.count
}

/** Writes something that one replica has, and the other has not; gives how many items there are then. */
async function writeBehindBack(): Promise<number> {
  await vi.waitFor(async () => expect((await seesOn(shop.openAgent(), 'x'))[1]).toBe('replica-1'), 5_000)
  await behind.pauseReplay()
  await agent.post('/items/own')
  await vi.waitFor(async () => expect((await seesOn(agent, 'own'))[1]).toBe('replica-1'), 5_000)
  return Number((await cluster.primary.query<{ count: string }>('select count(*) from item'))[0]?.count)
}

const READS = ['/statement', '/stream', '/transaction/read', '/transaction/repe']

describe.each(READS)('GET %s', (path) => {
  test('a read that waited for a connection while its server crashed does not believe what was known before', async () => {
    await serve(proxy)
    const items = await writeBehindBack()
    await vi.waitFor(() => expect(proxy.connections).toBeLessThanOrEqual(2))
    await proxy.blackHole()
    const { accepted } = proxy
    const reading = agent.get(path)
    await vi.waitFor(() => expect(proxy.accepted).toBeGreaterThan(accepted))
    server.port = behind.port
    proxy.cut({ waiting: false })
    await proxy.forward()
    expect((await reading).json()).toBe(items)
  })

  test('nor where nobody has noticed that it crashed', async () => {
    await serve(fresh)
    const items = await writeBehindBack()
    server.port = behind.port
    proxy.cut()
    expect((await agent.get(path)).json()).toBe(items)
    // Now it is known, and asked no more than others.
    expect((await agent.get(path)).json()).toBe(items)
  })
})
