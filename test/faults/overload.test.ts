import { sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { toReplica } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { Watched } from '../support/watched.ts'

// No connection is left, on the server or in this process's own pool. That is no reason to eject a node, nor to try
// again and again to connect.
const { cluster } = useShop({
  replicas: 2,
  settings: { max_connections: 40 },
  sql: [
    // PostgreSQL reserves connections for superusers. So the service logs in as another role.
    'create role app login',
    'grant select, insert on item to app',
    'grant usage on sequence item_id_seq to app',
  ],
})
let first: PostgresNode
let second: PostgresNode

beforeAll(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

const WAIT = { timeout: 20_000, interval: 10 }
const asApp = ({ connectionString }: { connectionString: string }) =>
  connectionString.replace('postgres@', 'app@')

const fillers: pg.Client[] = []

/** Takes every connection that is left on a server. */
async function fill(node: PostgresNode): Promise<void> {
  for (;;) {
    const client = new pg.Client({ connectionString: asApp(node), application_name: 'write-pinning/testing' })
    client.on('error', () => {})
    try {
      await client.connect()
    } catch (error) {
      expect(error).toMatchObject({ code: '53300' })
      return
    }
    fillers.push(client)
  }
}

async function empty(): Promise<void> {
  await Promise.all(fillers.splice(0).map((client) => client.end()))
}

afterEach(empty)

describe('`max_connections` reached on a replica', () => {
  test('no read fails, the replica is not ejected, and each read knocks there at most once', async () => {
    await using proxy = await TcpProxy.start(first)
    await using watched = await Watched.open(cluster, {
      primary: asApp(cluster.primary),
      replicas: [asApp(proxy), asApp(second)],
    })
    await watched.untilEligible('replica-1', 'replica-2')
    await fill(first)
    // Counted from here on: every read on this replica needs a new connection.
    const accepted = proxy.accepted
    const reads = startLoad(readsOf(cluster, watched.db))
    const routes = await routesOf(() =>
      vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(600), WAIT),
    )
    const report = await reads.stop()
    expect(report.failures()).toEqual([])
    expect(report.percentileMs(95)).toBeLessThan(250)
    // A read that found no connection was not sent. Its only route event is that of the node where it ran.
    expect(routes.length).toBeLessThanOrEqual(report.operations.length)
    expect(proxy.accepted - accepted).toBeLessThanOrEqual(report.operations.length)
    expect(watched.changes.filter((change) => change.includes('down'))).toEqual([])
    expect(watched.node('replica-1')).toMatchObject({ health: 'up', isFit: true })
    await empty()
    await vi.waitFor(async () => expect(await readsOf(cluster, watched.db)()).toBe(first.name), WAIT)
  })

  test('on both: the primary serves, and each read knocks at each replica at most once', async () => {
    await using proxy1 = await TcpProxy.start(first)
    await using proxy2 = await TcpProxy.start(second)
    await using watched = await Watched.open(cluster, {
      primary: asApp(cluster.primary),
      replicas: [asApp(proxy1), asApp(proxy2)],
    })
    await watched.untilEligible('replica-1', 'replica-2')
    await fill(first)
    await fill(second)
    const accepted = [proxy1.accepted, proxy2.accepted]
    const reads = startLoad(readsOf(cluster, watched.db))
    await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(600), WAIT)
    const report = await reads.stop()
    expect(report.failures().map(String)).toEqual([])
    for (const [index, { accepted: now }] of [proxy1, proxy2].entries()) {
      expect(now - (accepted[index] ?? 0)).toBeLessThanOrEqual(report.operations.length)
    }
    expect(watched.changes.filter((change) => change.includes('down'))).toEqual([])
  })

  test('from the start on: it serves as soon as it has room', async () => {
    await fill(first)
    await using watched = await Watched.open(cluster, {
      primary: asApp(cluster.primary),
      replicas: cluster.replicas.map(asApp),
    })
    expect(await readsOf(cluster, watched.db)()).toBe(second.name)
    expect(watched.node(first.name).health).not.toBe('down')
    await empty()
    expect(await watched.untilEligible(first.name)).toBeLessThan(2_000)
  })
})

test('`max_connections` reached on the primary: writes fail with 53300, once each; reads go on', async () => {
  await using proxy = await TcpProxy.start(cluster.primary)
  await using watched = await Watched.open(cluster, {
    primary: asApp(proxy),
    replicas: cluster.replicas.map(asApp),
  })
  await watched.untilEligible('replica-1', 'replica-2')
  const kept = await watched.db.connection().execute(async (one) => {
    // The primary's pool has one connection, and it is in use.
    await sql`select 1`.execute(one)
    await fill(cluster.primary)
    const accepted = proxy.accepted
    const reads = startLoad(readsOf(cluster, watched.db))
    const write = writesOf(watched.db)
    for (let count = 0; count < 10; count++) await expect(write()).rejects.toMatchObject({ code: '53300' })
    await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(200), WAIT)
    expect((await reads.stop()).failures()).toEqual([])
    return proxy.accepted - accepted
  })
  expect(kept).toBe(10)
  expect(watched.changes.filter((change) => change.includes('down'))).toEqual([])
})

describe('a pool that is exhausted', () => {
  test('a read that waits in vain goes to the next node; nobody is ejected', async () => {
    const narrow = (node: PostgresNode) => ({
      connectionString: node.connectionString,
      max: 1,
      connectionTimeoutMillis: 300,
    })
    await using watched = await Watched.open(cluster, { replicas: cluster.replicas.map(narrow) })
    await watched.untilEligible('replica-1', 'replica-2')
    const hold = () => inRequest(() => toReplica(sql`select pg_sleep(3)`).execute(watched.db))
    const holding = [hold(), hold()]
    const reads = startLoad(readsOf(cluster, watched.db), { perSecond: 50 })
    await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(100), WAIT)
    await Promise.all(holding)
    const report = await reads.stop()
    expect(report.failures()).toEqual([])
    // Each node is tried once: two waits at most, and then the primary.
    expect(report.slowestMs).toBeLessThan(2_500)
    expect(watched.changes.filter((change) => change.includes('down'))).toEqual([])
  })
})
