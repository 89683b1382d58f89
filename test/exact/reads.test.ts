import type { Kysely } from 'kysely'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Position } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { signingKeys } from '../../src/pinning/signer.ts'
import { encodeToken } from '../../src/pinning/token.ts'
import type { Database } from '../support/cluster.ts'
import { type ExactShop, heldBy, pinOfAgent, sees, seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { type OwnQuestions, poolThatCounts } from '../support/own-questions.ts'
import { positionOf } from '../support/positions.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// Who serves a read under an exact pin, and what finding that out costs.
const { cluster, open: openOn, serveShop, atEnd } = useShop({ replicas: 2 })
let first: PostgresNode
let second: PostgresNode

beforeAll(async () => {
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

afterEach(async () => {
  for (const replica of cluster.replicas) await replica.resumeReplay()
  // PostgreSQL 13 takes up to a second to go on.
  await cluster.waitForCatchup()
})

interface Shop extends ExactShop {
  readonly db: Kysely<Database>
  /** What each replica was asked. */
  readonly asked: readonly OwnQuestions[]
}

async function open(
  dialect: Partial<PrimaryReplicaDialectOptions> = {},
  plugin: Parameters<typeof serveShop>[1] = {},
): Promise<Shop> {
  const asked = cluster.replicas.map((replica) => poolThatCounts(replica))
  const db = openOn({ replicas: asked.map(({ pool }) => pool), ...dialect })
  const shop = await serveShop(db, plugin, async (app) => {
    app.get<{ Params: { name: string } }>('/thrice/:name', async ({ params: { name } }) => {
      for (let read = 0; read < 3; read++) await readOf(db, name)
      return 'done'
    })
    app.get<{ Params: { name: string } }>('/transaction/:name', async ({ params: { name } }) => {
      const transaction = db.transaction().setAccessMode('read only').setIsolationLevel('repeatable read')
      const rows = await transaction.execute(async (trx) => {
        await trx.selectFrom('session').selectAll().execute()
        return readOf(trx, name)
      })
      return { isThere: rows.length > 0 }
    })
    app.get<{ Params: { name: string } }>('/stream/:name', async ({ params: { name } }) => {
      let rows = 0
      for await (const _row of db.selectFrom('item').select('id').where('name', '=', name).stream()) rows++
      return { isThere: rows > 0 }
    })
  })
  return { ...shop, db, asked }
}

const readOf = (on: Kysely<Database>, name: string) =>
  on.selectFrom('item').select('id').where('name', '=', name).execute()
const nodesOf = async (fn: () => unknown) => (await routesOf(fn)).map(({ node }) => node)
const positionsAsked = ({ asked }: Shop) => asked.reduce((sum, { positions }) => sum + positions, 0)

describe('under an exact pin', () => {
  test('a replica of which it is known that it has replayed as much is asked nothing more', async () => {
    const shop = await open()
    const agent = shop.openAgent()
    await agent.post('/items/known')
    await cluster.waitForCatchup()
    expect(await seesOn(agent, 'known')).toEqual([true, expect.stringMatching(/^replica/)])
    const before = positionsAsked(shop)
    expect(before).toBeGreaterThan(0)
    for (let read = 0; read < 20; read++) expect(await sees(agent, 'known')).toBe(true)
    expect(positionsAsked(shop)).toBe(before)
  })

  test('those who read at the same time share one look', async () => {
    const shop = await open()
    const agent = shop.openAgent()
    await agent.post('/items/warm')
    await cluster.waitForCatchup()
    await sees(agent, 'warm')
    await agent.post('/items/shared')
    await cluster.waitForCatchup()
    const before = positionsAsked(shop)
    await Promise.all(Array.from({ length: 40 }, () => sees(agent, 'shared')))
    // Of each replica: the look of the first, and the next one, of all who came meanwhile.
    expect(positionsAsked(shop) - before).toBeLessThanOrEqual(8)
    expect(shop.asked.map(({ mostAtOnce }) => mostAtOnce)).toEqual([1, 1])
  })

  test('a request that no replica can serve yet looks once, however many reads it has', async () => {
    const shop = await open()
    const agent = shop.openAgent()
    for (const replica of cluster.replicas) await replica.pauseReplay()
    await agent.post('/items/once')
    const before = positionsAsked(shop)
    expect(await nodesOf(() => agent.get('/thrice/once'))).toEqual(['primary', 'primary', 'primary'])
    expect(positionsAsked(shop) - before).toBe(2)
  })

  test.each(['transaction', 'stream'])(
    'a read-only %s runs on a replica that is fresh enough',
    async (kind) => {
      const shop = await open()
      const agent = shop.openAgent()
      const read = async () => {
        let isThere = false
        const nodes = await nodesOf(async () => {
          isThere = (await agent.get(`/${kind}/${kind}`)).json().isThere
        })
        expect(isThere).toBe(true)
        return [...new Set(nodes)].join()
      }
      await first.pauseReplay()
      await agent.post(`/items/${kind}`)
      await cluster.waitForCatchup()
      for (let time = 0; time < 5; time++) expect(await read()).toBe('replica-2')
      await second.pauseReplay()
      await agent.post(`/items/${kind}`)
      expect(await read()).toBe('primary')
    },
  )

  test('a balanced name never counts as fresh', async () => {
    const shop = await open({ replicas: [{ pool: first.connectionString, loadBalanced: true }] })
    const agent = shop.openAgent()
    await agent.post('/items/balanced')
    await cluster.waitForCatchup()
    expect(await seesOn(agent, 'balanced')).toEqual([true, 'primary'])
    expect(await seesOn(shop.openAgent(), 'balanced')).toEqual([true, 'replica-1'])
  })

  test('a replica that does not answer holds nobody up whom another can serve', async () => {
    const proxy = await TcpProxy.start(first)
    const frozen = poolThatCounts(first, { host: '127.0.0.1', port: proxy.port })
    const shop = await open({ replicas: [frozen.pool, second.connectionString] })
    atEnd(() => proxy.stop())
    const agent = shop.openAgent()
    await agent.post('/items/before')
    await cluster.waitForCatchup()
    await sees(agent, 'before')
    await proxy.blackHole()
    await agent.post('/items/frozen')
    await cluster.waitForCatchup()
    const beforeMs = performance.now()
    expect(await seesOn(agent, 'frozen')).toEqual([true, 'replica-2'])
    expect(performance.now() - beforeMs).toBeLessThan(150)
  })
})

test('the only replica, where it does not answer, holds nobody up for more than a quarter of a second', async () => {
  const proxy = await TcpProxy.start(first)
  const frozen = poolThatCounts(first, { host: '127.0.0.1', port: proxy.port })
  const shop = await open({ replicas: [frozen.pool] })
  atEnd(() => proxy.stop())
  const agent = shop.openAgent()
  await agent.post('/items/only')
  await cluster.waitForCatchup()
  await sees(agent, 'only')
  await agent.post('/items/held')
  await proxy.blackHole()
  const took = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const beforeMs = performance.now()
      expect(await sees(agent, 'held')).toBe(true)
      return performance.now() - beforeMs
    }),
  )
  expect(Math.max(...took)).toBeLessThan(400)
})

describe('with `catchUpMs`', () => {
  test('a read waits for a replica that is about to be fresh enough', async () => {
    const shop = await open({ catchUpMs: 2_000 })
    const agent = shop.openAgent()
    for (const replica of cluster.replicas) await replica.pauseReplay()
    await agent.post('/items/soon')
    const reading = seesOn(agent, 'soon')
    await vi.waitFor(() => expect(positionsAsked(shop)).toBeGreaterThan(6), { timeout: 10_000 })
    await first.resumeReplay()
    expect(await reading).toEqual([true, 'replica-1'])
  })

  test('it waits no longer than that, and then the primary serves', async () => {
    const shop = await open({ catchUpMs: 500 })
    const agent = shop.openAgent()
    for (const replica of cluster.replicas) await replica.pauseReplay()
    await agent.post('/items/late')
    const beforeMs = performance.now()
    expect(await nodesOf(() => agent.get('/thrice/late'))).toEqual(['primary', 'primary', 'primary'])
    const tookMs = performance.now() - beforeMs
    expect(tookMs).toBeGreaterThan(480)
    expect(tookMs).toBeLessThan(1_000)
  })

  test('the database can be destroyed while somebody waits', async () => {
    const shop = await open({ catchUpMs: 60_000 })
    const agent = shop.openAgent()
    for (const replica of cluster.replicas) await replica.pauseReplay()
    await agent.post('/items/destroyed')
    const reading = agent.get('/items/destroyed')
    await vi.waitFor(() => expect(positionsAsked(shop)).toBeGreaterThan(6), { timeout: 10_000 })
    await shop.db.destroy()
    expect((await reading).status).toBe(500)
  })
})

// Whoever can make them up, as where there is no secret, or knows it, gets the primary for it, and nothing else.
describe.each([
  ['signed', 'a secret of at least thirty-two characters'],
  ['unsigned', undefined],
])('a token that is %s and made up', (_what, secret) => {
  const forgeries: Record<string, (honest: Position) => Position> = {
    'with a position far ahead': (honest) => ({ ...honest, lsn: 0xffff_ffff_ffff_ffffn }),
    'with a position a little ahead': (honest) => ({ ...honest, lsn: honest.lsn + 10_000_000n }),
    "of another system's": (honest) => ({ ...honest, systemId: '7300000000000000001' }),
    'of an older timeline, or a newer one': (honest) => ({ ...honest, timeline: honest.timeline + 1 }),
  }
  test.each(Object.entries(forgeries))('%s means the primary, and delays nobody', async (_name, forge) => {
    const shop = await open({ catchUpMs: 5_000 }, { secret: secret as string })
    const agent: UserAgent = shop.openAgent()
    const warm = shop.openAgent()
    // Who is asked first is connected to first, which one look may not wait for.
    await vi.waitFor(
      async () => {
        await warm.post('/items/warm')
        await sees(warm, 'warm')
        for (const { positions } of shop.asked) expect(positions).toBeGreaterThan(0)
      },
      { timeout: 10_000 },
    )
    const position = forge(await positionOf(cluster.primary))
    const untilMs = Date.now() + 15_000
    const token = encodeToken(
      {
        kind: 'exact',
        untilMs,
        primaryUntilMs: 0,
        clusters: new Map([['default', { primaryUntilMs: 0, exact: { position, untilMs } }]]),
      },
      {
        cookieName: 'write_pin',
        keys: signingKeys(secret === undefined ? [] : [secret]),
        pinningSeconds: 15,
      },
    )
    await agent.forge(token)
    const before = positionsAsked(shop)
    const beforeMs = performance.now()
    expect(await nodesOf(() => agent.get('/thrice/warm'))).toEqual(['primary', 'primary', 'primary'])
    expect(performance.now() - beforeMs).toBeLessThan(250)
    expect(positionsAsked(shop) - before).toBeLessThanOrEqual(2)
    // A write of its own is pinned all the same, and does no worse.
    expect((await agent.post('/items/own')).status).toBe(200)
    expect(await seesOn(agent, 'own')).toEqual([true, 'primary'])
    if (secret !== undefined) expect(heldBy(await pinOfAgent(agent))).toBeDefined()
  })
})
