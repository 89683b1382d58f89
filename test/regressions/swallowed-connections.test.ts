import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { usePrimary } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { startLoad } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { codeOf } from '../support/warnings.ts'
import type { Watched } from '../support/watched.ts'

// What goes over open connections is swallowed, and nobody is told; what becomes of new ones is another matter.
const { cluster, watch, atEnd } = useShop()
let replica: PostgresNode
let toPrimary: TcpProxy
let toReplica: TcpProxy
let watched: Watched

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
})

beforeEach(async () => {
  toPrimary = await TcpProxy.start(cluster.primary)
  toReplica = await TcpProxy.start(replica)
  for (const proxy of [toPrimary, toReplica]) atEnd(() => proxy.stop())
  watched = await watch(
    {
      primary: toPrimary.connectionString,
      replicas: [toReplica.connectionString],
      ...{ probeIntervalMs: 100, probeTimeoutMs: 300 },
    },
    { counts: false },
  )
  await watched.untilEligible('replica-1')
})

afterEach(() => {
  toPrimary.cut()
  toReplica.cut()
})

const WAIT = { timeout: 20_000, interval: 10 }
const read = () => inRequest(() => sql`select 1`.execute(watched.db))
const readOnPrimary = () => inRequest(() => usePrimary(() => sql`select 1`.execute(watched.db)))
const write = () => inRequest(() => watched.db.insertInto('item').values({ name: 'x' }).execute())

/** The session that watches a node, which begins after those that are there, and when it was asked last. */
async function newestWatcher(node: PostgresNode): Promise<{ pid: number; asked: string } | undefined> {
  const [row] = await node.query<{ pid: number; asked: string }>(
    "select pid, query_start::text as asked from pg_stat_activity where application_name = 'write-pinning' and query like '%pg_last_wal_replay_lsn%' and pid <> pg_backend_pid() order by backend_start desc limit 1",
  )
  return row
}

/** Resolves once a node is watched over another connection than before, which has answered. */
async function watchedAnew(node: PostgresNode, before: { pid: number } | undefined): Promise<void> {
  let first: { pid: number; asked: string } | undefined
  await vi.waitFor(async () => {
    const now = await newestWatcher(node)
    expect(now?.pid).not.toBe(before?.pid)
    first ??= now
    // Asked again, it must have answered.
    expect(now?.asked).not.toBe(first?.asked)
  }, WAIT)
}

test('where new connections get through, the pools do not lend those any more that lead nowhere', async () => {
  await Promise.all([read(), read(), read(), write(), write()])
  const [onPrimary, onReplica] = [await newestWatcher(cluster.primary), await newestWatcher(replica)]
  toPrimary.forget()
  toReplica.forget()
  await Promise.all([watchedAnew(cluster.primary, onPrimary), watchedAnew(replica, onReplica)])
  await Promise.all([read(), read(), read(), read(), write(), write(), write(), readOnPrimary()])
})

describe('where the primary refuses new connections', () => {
  test('what is under way there ends within 15 s', async () => {
    const begun = performance.now()
    const waiting = codeOf(() =>
      inRequest(() => usePrimary(() => sql`select pg_sleep(1)`.execute(watched.db))),
    )
    await vi.waitFor(async () => {
      const rows = await cluster.primary.query(
        "select from pg_stat_activity where query like 'select pg_sleep%'",
      )
      expect(rows).toHaveLength(1)
    }, WAIT)
    await toPrimary.blackHole()
    await toPrimary.refuse()
    expect(await waiting).toBe('ECONNREFUSED')
    expect(performance.now() - begun).toBeLessThan(15_000)
  }, 40_000)
})

describe.each([
  { what: 'refused', close: () => toPrimary.refuse() },
  { what: 'never answered', close: () => leadNowhere(toPrimary) },
])('where new connections to the primary are $what, and open ones go on', ({ close }) => {
  test('what is under way is left alone, however long that lasts', async () => {
    const long = inRequest(() => usePrimary(() => sql`select pg_sleep(14)`.execute(watched.db)))
    const reads = startLoad(readOnPrimary, { perSecond: 10 })
    await more(reads, 10)
    const sinceMs = performance.now()
    await close()
    await cluster.primary.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'write-pinning'",
    )
    await watched.changed('primary', 'down', sinceMs)
    await long
    expect((await reads.stop()).failures()).toEqual([])
    expect(watched.changesOf('primary', sinceMs)).toEqual(['down'])
  }, 40_000)
})

/** New connections of a proxy's are made, and never hear anything. */
async function leadNowhere(proxy: TcpProxy): Promise<void> {
  const silent = createServer(() => {})
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  silent.unref()
  proxy.targets = [{ host: '127.0.0.1', port: (silent.address() as AddressInfo).port }]
}
