import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { freePort } from '../../src/testing/free-port.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// Discovered names whose nodes are promoted, and lookup functions that answer in their own way (Linux only).
const { cluster } = useShop({ isOfEachTest: true })
let replica: PostgresNode
let port: number
let close: () => void

/** The addresses that every name has now; undefined while nobody answers. */
let answer: unknown

const lookup = ((_host: string, _options: object, callback: (error: null, answer: unknown) => void) => {
  if (answer !== undefined) setImmediate(callback, null, answer)
}) as NonNullable<PrimaryReplicaDialectOptions['lookup']>

beforeEach(async () => {
  replica = cluster.replicas[0] as PostgresNode
  port = await freePort()
  const server = createServer({ noDelay: true }, (client) => {
    const target = connect({ host: replica.host, port: replica.port, noDelay: true })
    for (const socket of [client, target]) socket.on('error', () => {})
    client.pipe(target).pipe(client)
  })
  server.listen({ host: '127.0.0.2', port })
  await once(server, 'listening')
  close = () => server.close()
})

afterEach(() => close())

const WAIT = { timeout: 20_000, interval: 10 }
const at = (address: string) => [{ address, family: 4 }]
const named = (name: string) => ({
  name,
  pool: `postgres://postgres@replicas.test:${port}/test`,
  discover: { intervalMs: 100 },
})
const namesOf = (watched: Watched) =>
  watched.dialect
    .status()
    .nodes.map(({ name }) => name)
    .toSorted()

test('a discovered replica that was promoted, and left the name of the replicas, stays the primary', async () => {
  answer = at('127.0.0.2')
  await using watched = await Watched.open(cluster, { replicas: [named('pod')], lookup, failover: true })
  const write = () => watched.db.insertInto('item').values({ name: 'written' }).execute()
  await watched.untilEligible('pod-127.0.0.2')
  await replica.promote()
  await vi.waitFor(() => expect(watched.node('pod-127.0.0.2').role).toBe('primary'), WAIT)
  await write()
  answer = at('127.0.0.3')
  await vi.waitFor(() => expect(namesOf(watched)).toContain('pod-127.0.0.3'), WAIT)
  answer = at('127.0.0.4')
  await vi.waitFor(
    () => expect(namesOf(watched)).toEqual(['pod-127.0.0.2', 'pod-127.0.0.4', 'primary']),
    WAIT,
  )
  await write()
  expect(watched.node('pod-127.0.0.2').health).toBe('up')
})

test('the nodes of a name are its own, also where another one begins with it', async () => {
  answer = at('127.0.0.2')
  await using watched = await Watched.open(cluster, { replicas: [named('eu'), named('eu-west')], lookup })
  await watched.untilEligible('eu-127.0.0.2', 'eu-west-127.0.0.2')
  answer = at('127.0.0.3')
  await vi.waitFor(
    () => expect(namesOf(watched)).toEqual(['eu-127.0.0.3', 'eu-west-127.0.0.3', 'primary']),
    WAIT,
  )
  // Nobody listens at these addresses, which the watcher finds by itself.
  await vi.waitFor(() => {
    for (const name of ['eu-127.0.0.3', 'eu-west-127.0.0.3']) expect(watched.node(name).health).toBe('down')
  }, WAIT)
  const { length } = watched.changes
  answer = [...at('127.0.0.3'), ...at('127.0.0.4')]
  await vi.waitFor(() => expect(namesOf(watched)).toHaveLength(5), WAIT)
  const changed = watched.changes.slice(length).filter((change) => change.includes('127.0.0.3: unfit'))
  expect(changed).toEqual([])
})

test('a `lookup` that gives mere addresses will do; one that gives none is named once', async () => {
  answer = [{}]
  await using watched = await Watched.open(cluster, { replicas: [named('pod')], lookup })
  await vi.waitFor(() => expect(watched.codes()).toEqual(['WRITE_PINNING_DISCOVER']), WAIT)
  answer = ['127.0.0.2']
  await watched.untilEligible('pod-127.0.0.2')
  answer = [{}]
  await watched.untilEligible('pod-127.0.0.2')
  expect(watched.codes()).toEqual(['WRITE_PINNING_DISCOVER'])
})

test('destroy() does not wait for a name server that does not answer', async () => {
  answer = at('127.0.0.2')
  let calls = 0
  const counting: typeof lookup = (...args) => {
    calls++
    lookup(...args)
  }
  await using watched = await Watched.open(cluster, { replicas: [named('pod')], lookup: counting })
  await watched.untilEligible('pod-127.0.0.2')
  answer = undefined
  const before = calls
  await vi.waitFor(() => expect(calls).toBeGreaterThan(before), WAIT)
  const startedMs = performance.now()
  await watched.db.destroy()
  expect(performance.now() - startedMs).toBeLessThan(2_000)
})
