import { beforeEach, expect, test, vi } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { askForPassword } from '../support/password.ts'
import { whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// The password of the service's role changes while the service runs. `password` is a function, as with a secret
// store.
const { cluster } = useShop({ replicas: 2, isOfEachTest: true })
let current: string

beforeEach(async () => {
  current = 'secret-one'
  await cluster.primary.query("create role app login password 'secret-one'")
  await cluster.primary.query('grant select, insert, delete on item to app')
  await cluster.primary.query('grant usage on sequence item_id_seq to app')
  await cluster.waitForCatchup()
  for (const node of cluster.nodes) await askForPassword(node, 'app')
})

const WAIT = { timeout: 20_000, interval: 10 }

const configOf = (password: () => Promise<string>) => (node: PostgresCluster['primary']) => ({
  host: node.host,
  port: node.port,
  database: 'test',
  user: 'app',
  password,
})

async function rotate(password: string): Promise<void> {
  await cluster.primary.query(`alter role app password '${password}'`)
  await cluster.waitForCatchup()
}

/** Ends every session of the service, also those of the watchers, so that all of them are opened again. */
async function terminate(): Promise<void> {
  for (const node of cluster.nodes) {
    await node.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
  }
}

test('the next connections of pools and watchers use the new one; no read fails, and nobody is ejected', async () => {
  const config = configOf(async () => current)
  await using watched = await Watched.open(cluster, {
    primary: config(cluster.primary),
    replicas: cluster.replicas.map(config),
  })
  await watched.untilEligible('replica-1', 'replica-2')
  await whenCatalogIsRead(watched.db)
  const reads = startLoad(readsOf(cluster, watched.db))
  await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(100), WAIT)
  current = 'secret-two'
  await rotate(current)
  await terminate()
  const fromMs = reads.nowMs()
  await vi.waitFor(() => expect(reads.soFar().between(fromMs).operations.length).toBeGreaterThan(200), WAIT)
  await watched.untilEligible('replica-1', 'replica-2')
  const report = await reads.stop()
  expect(report.failures()).toEqual([])
  await expect(writesOf(watched.db)()).resolves.toBeDefined()
  expect(watched.changes.filter((change) => change.includes('down'))).toEqual([])
  expect(watched.warnings).toEqual([])
})

test('a wrong one is loud at once, with the node’s name and no secret, and reads go on elsewhere', async () => {
  const config = configOf(async () => current)
  await using watched = await Watched.open(cluster, {
    primary: config(cluster.primary),
    replicas: [
      configOf(async () => (current === 'secret-one' ? current : 'wrong-secret'))(
        cluster.replicas[0] as PostgresCluster['primary'],
      ),
      config(cluster.replicas[1] as PostgresCluster['primary']),
    ],
  })
  await watched.untilEligible('replica-1', 'replica-2')
  // Otherwise the reading of the catalog would be cut as well, with a warning of its own.
  await whenCatalogIsRead(watched.db)
  const reads = startLoad(readsOf(cluster, watched.db))
  current = 'secret-two'
  await rotate(current)
  const fromMs = reads.nowMs()
  await terminate()
  await vi.waitFor(() => expect(watched.warnings).toHaveLength(1), WAIT)
  const loudMs = reads.nowMs() - fromMs
  await vi.waitFor(() => expect(reads.soFar().between(fromMs).operations.length).toBeGreaterThan(300), WAIT)
  const report = await reads.stop()
  expect(report.failures().map(String)).toEqual([])
  expect(loudMs).toBeLessThan(2_000)
  expect(Object.keys(report.between(fromMs + 1_000).servedBy())).toEqual(['replica-2'])
  expect(watched.warnings).toEqual([
    expect.stringMatching(/^WRITE_PINNING_NODE_MISCONFIGURED: .*'replica-1'.*28P01/),
  ])
  expect(JSON.stringify([watched.warnings, watched.changes, watched.dialect.status()])).not.toMatch(/secret/)
  expect(watched.node('replica-1')).toMatchObject({ health: 'down', isFit: false })
})

test('a wrong one of the primary fails writes with 28P01; reads go on', async () => {
  const config = configOf(async () => current)
  await using watched = await Watched.open(cluster, {
    primary: configOf(async () => 'wrong-secret')(cluster.primary),
    replicas: cluster.replicas.map(config),
  })
  await watched.untilEligible('replica-1', 'replica-2')
  await expect(writesOf(watched.db)()).rejects.toMatchObject({ code: '28P01' })
  const reads = startLoad(readsOf(cluster, watched.db))
  await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(100), WAIT)
  expect((await reads.stop()).failures()).toEqual([])
  expect(watched.warnings.join()).toMatch(/WRITE_PINNING_NODE_MISCONFIGURED: .*'primary'.*28P01/)
  expect(watched.warnings.join()).not.toMatch(/secret/)
})

test('a function that fails, or hangs, is a node that is down; it is asked again, and the reads go elsewhere', async () => {
  let answer = () => Promise.resolve(current)
  const config = configOf(async () => current)
  const [first, second] = cluster.replicas as [PostgresCluster['primary'], PostgresCluster['primary']]
  await using watched = await Watched.open(cluster, {
    primary: config(cluster.primary),
    replicas: [configOf(() => answer())(first), config(second)],
  })
  await watched.untilEligible('replica-1', 'replica-2')
  const reads = startLoad(readsOf(cluster, watched.db))
  for (const broken of [() => Promise.reject(new Error('no store')), () => new Promise<string>(() => {})]) {
    answer = broken
    await first.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
    await watched.untilUnfit('down', 'replica-1')
    answer = () => Promise.resolve(current)
    await watched.untilEligible('replica-1')
  }
  const report = await reads.stop()
  expect(report.failures().map(String)).toEqual([])
  expect(report.slowestMs).toBeLessThan(3_000)
})
