import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { usePrimary } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// With `monotonicReads`, what a user agent has seen does not disappear again, wherever its reads go.
const { cluster, open, watch, serveShop } = useShop({ replicas: 2 })
let first: PostgresNode
let second: PostgresNode
let watched: Watched
let agent: UserAgent
/** What happens between the reads of one request. */
let between: (read: number) => unknown

beforeAll(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

beforeEach(async () => {
  between = () => {}
  watched = await watch({ probeIntervalMs: 100 })
  await watched.untilEligible('replica-1', 'replica-2')
  const { openAgent } = await serveShop(watched.db, { monotonicReads: true }, async (shop) => {
    shop.get('/count', () => countOf())
    shop.get('/counts', async () => {
      const counts: [number, string][] = []
      for (let read = 0; read < 6; read++) {
        counts.push(await countOf())
        await between(read)
      }
      return counts
    })
    shop.get('/primary-between', async () => {
      const before = await countOf()
      await cluster.primary.query("insert into item (name) values ('between')")
      return [before, await usePrimary(countOf), await countOf()]
    })
  })
  agent = openAgent()
})

afterEach(async () => {
  for (const replica of cluster.replicas) await replica.resumeReplay()
})

/** How many items there are, and who says so. */
async function countOf(): Promise<[number, string]> {
  const { rows } = await sql<{ count: number; port: number }>`
    select count(*)::int as count, inet_server_port() as port from item`.execute(watched.db)
  const node = cluster.nodes.find(({ port }) => port === rows[0]?.port)
  return [rows[0]?.count ?? -1, node?.name ?? '']
}

const add = () => cluster.primary.query("insert into item (name) values ('more')")

function expectNeverBackwards(counts: readonly [number, string][]): void {
  const seen = counts.map(([count]) => count)
  expect(seen, JSON.stringify(counts)).toEqual(seen.toSorted((a, b) => a - b))
}

describe('from request to request', () => {
  test('reads stay with replicas that have what was seen, while others are behind', async () => {
    await first.pauseReplay()
    await add()
    await cluster.waitForCatchup()
    const [count] = (await vi.waitFor(
      async () => {
        const { json } = await agent.get('/count')
        expect(json()[1]).toBe('replica-2')
        return json()
      },
      { timeout: 10_000 },
    )) as [number, string]
    for (let time = 0; time < 20; time++)
      expect((await agent.get('/count')).json()).toEqual([count, 'replica-2'])
    await first.resumeReplay()
    await cluster.waitForCatchup()
    // How far it has got is known when it is looked at next.
    const nodes = new Set<string>()
    await vi.waitFor(async () => {
      nodes.add((await agent.get('/count')).json()[1])
      expect([...nodes].toSorted()).toEqual(['replica-1', 'replica-2'])
    }, 5_000)
  })

  test('what was seen on the primary is not taken back by a replica', async () => {
    for (const replica of cluster.replicas) await replica.pauseReplay()
    expectNeverBackwards((await agent.get('/primary-between')).json())
    const [count, node] = (await agent.get('/count')).json()
    const [[, servedBefore]] = (await agent.get('/primary-between')).json()
    expect([node, servedBefore]).toEqual(['primary', 'primary'])
    expect(count).toBeGreaterThan(0)
  })

  test('while rows are added all the time, and replicas are late by turns, none is ever taken back', async () => {
    const counts: [number, string][] = []
    for (let round = 0; round < 60; round++) {
      await add()
      if (round % 10 === 0) await (round % 20 === 0 ? first : second).pauseReplay()
      if (round % 10 === 5) {
        for (const replica of cluster.replicas) await replica.resumeReplay()
        await cluster.waitForCatchup()
      }
      counts.push((await agent.get('/count')).json())
    }
    expectNeverBackwards(counts)
    expect(counts.filter(([, node]) => node !== 'primary').length).toBeGreaterThan(5)
  })
})

test('what was seen behind a balanced name, where the next connection is another server, only the primary is sure to have', async () => {
  const replicas = [{ pool: first.connectionString, loadBalanced: true }]
  const balanced = open({ replicas })
  const { openAgent } = await serveShop(balanced, { monotonicReads: true })
  await vi.waitFor(async () => expect((await seesOn(openAgent(), 'anything'))[1]).toBe('replica-1'), {
    timeout: 10_000,
  })
  const reader = openAgent()
  expect(await seesOn(reader, 'anything')).toEqual([false, 'replica-1'])
  expect(await seesOn(reader, 'anything')).toEqual([false, 'primary'])
})

describe('within a request', () => {
  /** Has one replica be behind the other, and finds a request that begins on the one that is ahead. */
  async function readWhile(leave: () => unknown): Promise<[number, string][]> {
    await first.pauseReplay()
    await add()
    await cluster.waitForCatchup()
    watched.dialect.drain('replica-1')
    between = async (read) => {
      if (read === 2) {
        watched.dialect.resume('replica-1')
        await leave()
      }
    }
    return (await agent.get('/counts')).json()
  }

  test('reads move on from a replica that is drained to nobody who is behind it', async () => {
    const counts = await readWhile(() => watched.dialect.drain('replica-2'))
    watched.dialect.resume('replica-2')
    expect(counts.map(([, node]) => node)).toEqual([
      'replica-2',
      'replica-2',
      'replica-2',
      'primary',
      'primary',
      'primary',
    ])
    expectNeverBackwards(counts)
  })

  test('and so they do from one that dies', async () => {
    const counts = await readWhile(() => second.kill())
    await second.start()
    expectNeverBackwards(counts)
    expect(counts.map(([, node]) => node).slice(0, 3)).toEqual(['replica-2', 'replica-2', 'replica-2'])
    expect(counts.slice(3).map(([, node]) => node)).not.toContain('replica-1')
  })
})
