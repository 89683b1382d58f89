import { type Server, Socket } from 'node:net'
import { sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { freePort } from '../../src/testing/free-port.ts'
import { seesOn } from '../support/exact.ts'
import { readsOf } from '../support/load.ts'
import { serveAt } from '../support/other-address.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// A name leads to another server while the one before lives on: a switch from blue to green, a failover that fences nobody. All addresses
// are the loopback's (Linux only); `lookup` is the test's.
const { cluster, watch, serveShop } = useShop({ replicas: 2, isOfEachTest: true })
let first: PostgresNode
let second: PostgresNode
let port: number
/** A name's addresses, by now. */
let answers: Record<string, string[]>
/** How often all addresses of a name were asked for. */
let asked: number
const listening: Server[] = []

const lookup: NonNullable<PrimaryReplicaDialectOptions['lookup']> = (host, { all }, callback) => {
  const found = (answers[host] ?? []).map((address) => ({ address, family: 4 }))
  if (all) asked++
  if (all) setImmediate(callback, null, found)
  else setImmediate(callback, null, String(found[0]?.address), 4)
}

beforeEach(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
  port = await freePort()
  asked = 0
  const { setInterval } = globalThis
  // Names are looked up every 5 s: here fifty times as often.
  vi.spyOn(globalThis, 'setInterval').mockImplementation(((run: () => void, ms: number) =>
    setInterval(run, ms === 5_000 ? 100 : ms)) as never)
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const server of listening.splice(0)) server.close()
})

/** Has a server answer at another address as well. */
async function serve(host: string, node: PostgresNode): Promise<void> {
  listening.push(await serveAt(host, port, node))
}

async function open(options: Partial<PrimaryReplicaDialectOptions>): Promise<Watched> {
  const quick = { lookup, probeIntervalMs: 100, maxLagMs: 500 }
  const watched = await watch({ ...quick, ...options }, { counts: false })
  await watched.untilEligible('replica-1')
  return watched
}

const WAIT = { timeout: 15_000, interval: 20 }
const urlOf = (name: string) => `postgres://postgres@${name}:${port}/test`

/** The server that takes a write, and the process there that serves it. */
async function write({ db }: Watched): Promise<{ port: number; pid: number } | undefined> {
  const insert = sql<{ port: number; pid: number }>`
    insert into item (name) values ('written') returning inet_server_port() as port, pg_backend_pid() as pid`
  return (await inRequest(() => insert.execute(db))).rows[0]
}

test.each(['in use', 'idle'])(
  'a replica whose name has moved is watched where its reads go: %s',
  async (use) => {
    answers = { 'reader.test': ['127.0.0.2'] }
    await serve('127.0.0.2', first)
    await serve('127.0.0.3', second)
    const reader = { connectionString: urlOf('reader.test'), ...(use === 'idle' && { idleTimeoutMillis: 1 }) }
    const watched = await open({ replicas: [reader] })
    const where = readsOf(cluster, watched.db)
    expect(await where()).toBe('replica-1')
    answers = { 'reader.test': ['127.0.0.3'] }
    if (use === 'in use') await vi.waitFor(async () => expect(await where()).toBe('replica-2'), WAIT)
    await second.pauseReplay()
    await cluster.primary.query("insert into item (name) values ('new')")
    await watched.untilUnfit('lagging', 'replica-1')
    expect(await where()).toBe('primary')
    await second.resumeReplay()
    await watched.untilEligible('replica-1')
    expect(await where()).toBe('replica-2')
    // It was no news that it had to be looked at anew.
    expect(watched.changesOf('replica-1')).not.toContain('down')
  },
)

test('a primary whose name has moved, while the one before lives on, is asked for positions where its writes go', async () => {
  answers = { 'primary.test': ['127.0.0.4'] }
  await serve('127.0.0.2', first)
  await serve('127.0.0.4', cluster.primary)
  const watched = await open({ primary: urlOf('primary.test'), replicas: [second.connectionString] })
  const { openAgent } = await serveShop(watched.db)
  await openAgent().post('/items/before')
  // The other replica goes on following the server that nobody fenced.
  await first.promote()
  answers = { 'primary.test': ['127.0.0.2'] }
  await vi.waitFor(async () => expect((await write(watched))?.port).toBe(first.port), WAIT)
  const seen: unknown[] = []
  for (const name of ['first', 'second', 'third']) {
    const agent = openAgent()
    await agent.post(`/items/${name}`)
    seen.push(await seesOn(agent, name))
  }
  expect(seen).toEqual([
    [true, 'primary'],
    [true, 'primary'],
    [true, 'primary'],
  ])
  // By whether the old primary took one more write before its name was followed.
  await vi.waitFor(() => expect(watched.node('replica-1').because).toMatch(/^(old-timeline|diverged)$/), WAIT)
})

test('a connection that is held after its name has moved does not have the others replaced over and over', async () => {
  answers = { 'primary.test': ['127.0.0.4'] }
  await serve('127.0.0.2', cluster.primary)
  await serve('127.0.0.4', cluster.primary)
  const watched = await open({ primary: urlOf('primary.test') })
  const before = await write(watched)
  await watched.db.connection().execute(async (one) => {
    await sql`select pg_advisory_lock(7)`.execute(one)
    answers = { 'primary.test': ['127.0.0.2'] }
    const pids = new Set([before?.pid])
    await vi.waitFor(async () => expect(pids.add((await write(watched))?.pid).size).toBeGreaterThan(1), WAIT)
    await untilAsked(20, async () => {
      pids.add((await write(watched))?.pid)
    })
    // The held one is the one before, or the first of all.
    expect(pids.size).toBeLessThanOrEqual(3)
  })
})

test('a pool with sockets of its own, a tunnel’s say, keeps its connections wherever its host’s name leads', async () => {
  class Tunnel extends Socket {
    override connect(..._to: unknown[]): this {
      return super.connect({ host: '127.0.0.4', port })
    }
  }
  answers = { 'far.test': ['127.0.0.9'] }
  await serve('127.0.0.4', cluster.primary)
  const config = { host: 'far.test', port, user: 'postgres', database: 'test' }
  const primary = new pg.Pool({ ...config, stream: () => new Tunnel() as never })
  // Somebody is looked up, so that it is known when it would have been its turn.
  answers['reader.test'] = ['127.0.0.2']
  await serve('127.0.0.2', first)
  const watched = await open({ primary, replicas: [urlOf('reader.test')] })
  const pids = new Set<number | undefined>()
  await untilAsked(20, async () => {
    pids.add((await write(watched))?.pid)
  })
  expect(pids.size).toBe(1)
})

/** Goes on until names were looked up so many more times. */
async function untilAsked(times: number, go: () => Promise<void>): Promise<void> {
  for (const enough = asked + times; asked < enough; ) await go()
}
