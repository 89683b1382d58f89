import { beforeAll, expect, test, vi } from 'vitest'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { freePort } from '../../src/testing/free-port.ts'
import { readsOf, startLoad } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { serveAt } from '../support/other-address.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// Names that come to mean other servers. All addresses are on the loopback (Linux only), and `lookup` is the test's
// own.
const { cluster, atEnd } = useShop({ replicas: 2 })
let port: number

/** The addresses that each name has now. */
let answers: Record<string, string[]>

const lookup: NonNullable<PrimaryReplicaDialectOptions['lookup']> = (host, { all }, callback) => {
  const found = answers[host]
  if (found?.[0] === undefined) {
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' })
    setImmediate(callback, error, '', 4)
  } else if (all)
    setImmediate(
      callback,
      null,
      found.map((address) => ({ address, family: 4 })),
    )
  else setImmediate(callback, null, found[0], 4)
}

beforeAll(async () => {
  port = await freePort()
  const [first, second] = cluster.replicas as [PostgresNode, PostgresNode]
  await serve('127.0.0.2', first)
  await serve('127.0.0.3', second)
})

/** Makes a node answer at another address, too. */
async function serve(host: string, node: PostgresNode): Promise<void> {
  const server = await serveAt(host, port, node)
  atEnd(() => server.close())
}

const WAIT = { timeout: 30_000, interval: 20 }

const urlOf = (name: string) => `postgres://postgres@${name}:${port}/test`

test('a node whose name has another address is followed there, and no read fails', async () => {
  answers = { 'reader.test': ['127.0.0.2'] }
  await using watched = await Watched.open(cluster, { replicas: [urlOf('reader.test')], lookup })
  await watched.untilEligible('replica-1')
  const reads = startLoad(readsOf(cluster, watched.db))
  await more(reads, 100)
  answers = { 'reader.test': ['127.0.0.3'] }
  const changedMs = reads.nowMs()
  await vi.waitFor(() => {
    expect(Object.keys(reads.soFar().servedBy(reads.nowMs() - 500))).toEqual(['replica-2'])
  }, WAIT)
  const followedMs = reads.nowMs() - changedMs
  // While a name cannot be looked up, it keeps its last address.
  answers = {}
  await more(reads, 100)
  const report = await reads.stop()
  expect(report.failures().map(String)).toEqual([])
  expect(followedMs).toBeLessThan(17_000)
})

test('`discover` makes a node of each address, as they come and go; no read fails', async () => {
  answers = { 'replicas.test': ['127.0.0.2'] }
  const replicas = [{ name: 'pod', pool: urlOf('replicas.test'), discover: { intervalMs: 200 } }]
  await using watched = await Watched.open(cluster, { replicas, lookup })
  await watched.untilEligible('pod-127.0.0.2')
  const reads = startLoad(readsOf(cluster, watched.db))
  await more(reads, 100)
  answers = { 'replicas.test': ['127.0.0.2', '127.0.0.3'] }
  await vi.waitFor(() => expect(watched.node('pod-127.0.0.3').isFit).toBe(true), WAIT)
  await more(reads, 200)
  answers = { 'replicas.test': ['127.0.0.3'] }
  await vi.waitFor(() => expect(watched.dialect.status().nodes).toHaveLength(2), WAIT)
  const goneMs = reads.nowMs()
  await more(reads, 100)
  answers = {}
  await more(reads, 100)
  const report = await reads.stop()
  expect(report.failures().map(String)).toEqual([])
  expect(Object.keys(report.servedBy()).toSorted()).toEqual(['replica-1', 'replica-2'])
  expect(Object.keys(report.between(goneMs).servedBy())).toEqual(['replica-2'])
})

test('a name that cannot be looked up at the start: it is said, the primary serves, and replicas come later', async () => {
  answers = {}
  const replicas = [{ name: 'pod', pool: urlOf('replicas.test'), discover: { intervalMs: 200 } }]
  await using watched = await Watched.open(cluster, { replicas, lookup })
  expect(await readsOf(cluster, watched.db)()).toBe('primary')
  expect(watched.codes()).toContain('WRITE_PINNING_DISCOVER')
  const said = watched.warnings.length
  answers = { 'replicas.test': ['127.0.0.2'] }
  await vi.waitFor(() => expect(watched.node('pod-127.0.0.2').isFit).toBe(true), WAIT)
  expect(await readsOf(cluster, watched.db)()).toBe('replica-1')
  expect(watched.warnings).toHaveLength(said)
})
