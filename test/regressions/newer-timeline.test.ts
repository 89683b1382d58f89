import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { WritePinningOptions } from 'write-pinning/fastify'
import type { ExactShop } from '../support/exact.ts'
import { UserAgent } from '../support/http.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// Two processes: one has noticed a promotion, the other will not for an hour. A pin of the first names a newer timeline, which proves to
// the second that the primary it knows is an old one.
const { cluster, watch, serveShop } = useShop({ isOfEachTest: true })

async function serve(
  probeIntervalMs: number,
  { failover = true, ...options }: WritePinningOptions & { failover?: boolean } = {},
): Promise<ExactShop & { watched: Watched }> {
  const watched = await watch({ failover, probeIntervalMs }, { counts: false })
  await watched.untilEligible('replica-1')
  const shop = await serveShop(watched.db, options, async (app) => {
    app.post('/transaction', () =>
      watched.db.transaction().execute((trx) => trx.insertInto('item').values({ name: 'in one' }).execute()),
    )
    app.get('/transaction', () => {
      const reading = watched.db.transaction().setAccessMode('read only')
      return reading.execute((trx) => trx.selectFrom('item').select('name').execute())
    })
    app.get('/late', async () => {
      const { rows } = await sql<{ answer: string }>`select add_late() as answer`.execute(watched.db)
      return JSON.stringify(rows[0]?.answer)
    })
    app.post('/read/:name', (request) => {
      const { name } = request.params as { name: string }
      return watched.db.selectFrom('item').select('name').where('name', '=', name).execute()
    })
  })
  return { watched, ...shop }
}

/** Has the replica promoted, which the first notices, and somebody write there; gives their user agent at the second. */
async function promote(
  quick: ExactShop & { watched: Watched },
  slow: ExactShop,
): Promise<{ agent: UserAgent; cookie: string }> {
  const nowMs = performance.now()
  await cluster.replicas[0]?.promote()
  await quick.watched.changed('replica-1', 'primary', nowMs)
  const writer = quick.openAgent()
  await writer.post('/items/own')
  const cookie = `write_pin=${await writer.pin()}`
  return { agent: slow.openAgent(), cookie }
}

const HOUR_MS = 3_600_000

describe('a pin that names a newer timeline', () => {
  test.each([
    ['GET', '/items/own', { isThere: true }],
    ['GET', '/transaction', [{ name: 'own' }]],
    ['POST', '/read/own', [{ name: 'own' }]],
  ] as const)('has %s %s of its user agent see its write, at once', async (method, path, expected) => {
    const [quick, slow] = [await serve(50), await serve(HOUR_MS)]
    const { agent, cookie } = await promote(quick, slow)
    const answer = await agent.request(method, path, { headers: { cookie } })
    expect(answer.json()).toEqual(expected)
    expect(slow.watched.node('replica-1').role).toBe('primary')
  })

  test.each(['/items/next', '/transaction'])(
    'has POST %s of its user agent write to the new primary',
    async (path) => {
      const [quick, slow] = [await serve(50), await serve(HOUR_MS)]
      const { agent, cookie } = await promote(quick, slow)
      const routes = await routesOf(() => agent.post(path, { headers: { cookie } }))
      expect(new Set(routes.map(({ node }) => node))).toEqual(new Set(['replica-1']))
      const [row] = (await cluster.replicas[0]?.query<{ count: string }>('select count(*) from item')) ?? []
      expect(row?.count).toBe('2')
    },
  )

  test('has a function that nobody has heard of read and write there, too', async () => {
    const [quick, slow] = [await serve(50), await serve(HOUR_MS)]
    await cluster.primary.query(
      "create function add_late() returns bigint language sql as $$ insert into item (name) values ('late'); select count(*) from item $$",
    )
    await cluster.waitForCatchup()
    const { agent, cookie } = await promote(quick, slow)
    expect((await agent.get('/late', { headers: { cookie } })).json()).toBe('2')
    const [row] = (await cluster.replicas[0]?.query<{ count: string }>('select count(*) from item')) ?? []
    expect(row?.count).toBe('2')
  })

  test('has nobody look where anybody could have made it up', async () => {
    const unsigned = { secret: undefined } as WritePinningOptions
    const [quick, slow] = [await serve(50, unsigned), await serve(HOUR_MS, unsigned)]
    const { agent, cookie } = await promote(quick, slow)
    await agent.get('/items/own', { headers: { cookie } })
    expect(slow.watched.node('replica-1').role).toBe('replica')
  })

  test('without `failover` has the nodes looked at, and writes stay where they were', async () => {
    const [quick, slow] = [await serve(50), await serve(HOUR_MS, { failover: false })]
    const { agent, cookie } = await promote(quick, slow)
    await agent.get('/items/own', { headers: { cookie } })
    expect(slow.watched.node('replica-1')).toMatchObject({ role: 'replica', because: 'not-in-recovery' })
    const routes = await routesOf(() => agent.post('/items/next', { headers: { cookie } }))
    expect(routes.map(({ node }) => node)).toEqual(['primary'])
  })
})

test('many requests at once with such a pin make each node be looked at once', async () => {
  const [quick, slow] = [await serve(50), await serve(HOUR_MS)]
  const { cookie } = await promote(quick, slow)
  const origin = slow.openAgent().origin
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => new UserAgent(origin).get('/items/own', { headers: { cookie } })),
  )
  expect(answers.map((answer) => answer.json().isThere)).toEqual(answers.map(() => true))
  const { rows } = await sql<{ ports: number }>`select inet_server_port() as ports`.execute(slow.watched.db)
  expect(rows).toEqual([{ ports: cluster.replicas[0]?.port }])
})
