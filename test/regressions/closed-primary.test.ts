import { sql } from 'kysely'
import pg from 'pg'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Watched } from '../support/watched.ts'

// The primary lets nobody in any more: its watcher, who has lost its connection, sees no position. The sessions of the pool, which it has
// let in before, go on writing.
const { cluster, watch, atEnd } = useShop({
  isOfEachTest: true,
  sql: ['create role app login', 'grant all on item to app; grant usage on sequence item_id_seq to app'],
})
let replica: PostgresNode
let proxy: TcpProxy
let watched: Watched

beforeEach(async () => {
  replica = cluster.replicas[0] as PostgresNode
  proxy = await TcpProxy.start(cluster.primary)
  atEnd(() => proxy.stop())
  const primary = new pg.Pool({
    connectionString: proxy.connectionString.replace('postgres@', 'app@'),
    max: 4,
    idleTimeoutMillis: 0,
  })
  watched = await watch(
    {
      primary,
      replicas: [replica.connectionString],
      ...{ maxLagMs: 1_000, probeIntervalMs: 100, probeTimeoutMs: 300 },
    },
    { counts: false },
  )
  await watched.untilEligible('replica-1')
})

const WAIT = { timeout: 20_000, interval: 10 }
const write = () => inRequest(() => watched.db.insertInto('item').values({ name: 'new' }).execute())

async function read(): Promise<string> {
  const counted = sql<{ count: number; port: number }>`
    select count(*)::int as count, inet_server_port() as port from item`
  const { rows } = await inRequest(() => counted.execute(watched.db))
  return `${rows[0]?.count} on the ${rows[0]?.port === replica.port ? 'replica' : 'primary'}`
}

/** From here on nobody gets in; those of the sessions that match have to try. */
async function close(how: string, ended: string): Promise<void> {
  await cluster.primary.query(how)
  await cluster.waitForCatchup()
  const before = proxy.accepted
  await cluster.primary.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and ${ended}`,
  )
  await vi.waitFor(() => expect(proxy.accepted).toBeGreaterThan(before + 1), WAIT)
}

const WATCHER = "application_name = 'write-pinning'"

describe.each([
  { code: '53300', how: 'alter role app connection limit 0' },
  { code: '28000', how: 'alter role app nologin' },
])('where that is said by $code', ({ how }) => {
  test('a replica that lacks what was written since is late, and the primary serves', async () => {
    await write()
    await cluster.waitForCatchup()
    await close(how, WATCHER)
    await replica.pauseReplay()
    await write()
    await watched.untilUnfit('lagging', 'replica-1')
    for (let count = 0; count < 5; count++) expect(await read()).toBe('2 on the primary')
    await replica.resumeReplay()
  })

  test('and the replica was late before, the primary goes on to serve', async () => {
    await replica.pauseReplay()
    await write()
    await watched.untilUnfit('lagging', 'replica-1')
    expect(await read()).toBe('1 on the primary')
    await close(how, WATCHER)
    for (let count = 0; count < 5; count++) expect(await read()).toBe('1 on the primary')
    await replica.resumeReplay()
  })

  test('and no session of the pool is left, the late replica serves', async () => {
    await replica.pauseReplay()
    await write()
    await watched.untilUnfit('lagging', 'replica-1')
    await close(how, 'true')
    for (let count = 0; count < 5; count++) expect(await read()).toBe('0 on the replica')
    await replica.resumeReplay()
  })
})
