import { sql } from 'kysely'
import { beforeAll, expect, test, vi } from 'vitest'
import { useNode } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { codeOf } from '../support/warnings.ts'
import { Watched } from '../support/watched.ts'

// A server has another role than the configuration says.
const { cluster } = useShop({ replicas: 2 })
let first: PostgresNode
let second: PostgresNode

beforeAll(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

const WAIT = { timeout: 20_000, interval: 10 }

test('a primary that is a replica: writes fail with 25006 after one more try, reported once; reads go on', async () => {
  await using proxy = await TcpProxy.start(first)
  await using watched = await Watched.open(cluster, {
    primary: proxy.connectionString,
    replicas: [second.connectionString],
  })
  await watched.untilEligible('replica-1')
  const reads = startLoad(readsOf(cluster, watched.db))
  const routes = await routesOf(async () => {
    for (let count = 0; count < 10; count++) expect(await codeOf(writesOf(watched.db))).toBe('25006')
  })
  expect(routes.filter(({ write }) => write)).toHaveLength(20)
  await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(100), WAIT)
  const read = await reads.stop()
  expect(read.failures()).toEqual([])
  expect(Object.keys(read.servedBy())).toEqual([second.name])
  expect(watched.codes()).toEqual(['WRITE_PINNING_PRIMARY_IN_RECOVERY'])
})

test('the primary’s address moves to another server (a failover by DNS or a proxy): the write goes there', async () => {
  await using proxy = await TcpProxy.start(first)
  await using watched = await Watched.open(cluster, {
    primary: proxy.connectionString,
    replicas: [second.connectionString],
  })
  expect(await codeOf(writesOf(watched.db))).toBe('25006')
  proxy.targets = [cluster.primary]
  // The open connections still lead to the server that was demoted. A refused write finds the new one.
  await expect(writesOf(watched.db)()).resolves.toBe('write 1')
})

test('a replica that is the primary is reported once; its reads are served, read-only', async () => {
  await using watched = await Watched.open(cluster, { replicas: [cluster.primary.connectionString] })
  await watched.untilEligible('replica-1')
  const reads = startLoad(readsOf(cluster, watched.db))
  const routes = await routesOf(() =>
    vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(300), WAIT),
  )
  expect((await reads.stop()).failures()).toEqual([])
  expect(new Set(routes.map(({ node }) => node))).toEqual(new Set(['replica-1']))
  const { rows } = await inRequest(() =>
    useNode('replica-1', () =>
      sql`select current_setting('default_transaction_read_only') as it`.execute(watched.db),
    ),
  )
  expect(rows).toEqual([{ it: 'on' }])
  expect(watched.codes()).toEqual(['WRITE_PINNING_NODE_ROLE'])
})
