import { type FastifyInstance, fastify } from 'fastify'
import type { Kysely } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RouteEvent } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import type { PostgresCluster } from 'write-pinning/testing'
import { type Database, openDatabase, startShop } from '../support/cluster.ts'
import { listen, pinCookie, type UserAgent } from '../support/http.ts'
import { routesOf } from '../support/routes.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// The connection to the primary is lost while it commits. Nobody can know what became of the write, so the error
// surfaces, nothing is sent again, and the user agent is pinned: if the write is there, it sees it.
let cluster: PostgresCluster
let proxy: TcpProxy
let db: Kysely<Database>
let app: FastifyInstance
let openAgent: () => UserAgent
let agent: UserAgent
let errors: unknown[]

beforeAll(async () => {
  cluster = await startShop(1)
  proxy = await TcpProxy.start(cluster.primary)
  db = openDatabase(cluster, { primary: proxy.connectionString })
  app = fastify()
  await app.register(writePinning)
  app.addHook('onError', async (_request, _reply, error) => {
    errors.push(error)
  })
  // By GET, which pins only where the router saw a write.
  app.get<{ Params: { name: string } }>('/transaction/:name', async ({ params: { name } }) => {
    await db.transaction().execute((trx) => trx.insertInto('item').values({ name }).execute())
    return name
  })
  app.get<{ Params: { name: string } }>('/insert/:name', async ({ params: { name } }) => {
    await db.insertInto('item').values({ name }).execute()
    return name
  })
  app.get('/', () => db.selectFrom('item').select('name').execute())
  openAgent = await listen(app)
  await cluster.replicas[0]?.pauseReplay()
})

beforeEach(() => {
  errors = []
  agent = openAgent()
})

afterAll(async () => {
  await app.close()
  await db.destroy()
  await proxy.stop()
  await cluster.stop()
})

/** Has the request's connection cut where `last` is sent, and gives the statements that were sent. */
async function loseAt(last: string, message: 'delivered' | 'lost', path: string): Promise<RouteEvent[]> {
  const cut = proxy.cutWhen((bytes) => bytes.includes(last), message)
  const routes = await routesOf(async () => {
    const answer = await agent.get(path)
    expect(answer.status).toBe(500)
    expect(pinCookie(answer)).toBeDefined()
  })
  await cut
  // Kysely rolls back what it could not commit, and where that fails too, its error is the one that surfaces.
  expect(errors.map(String)).toEqual([expect.stringMatching(/terminated|ECONNRESET|not queryable/)])
  return routes
}

const timesThere = async (name: string) =>
  (await cluster.primary.query('select from item where name = $1', [name])).length
const seenByAgent = async () => (await agent.get('/')).json().map((item: { name: string }) => item.name)

describe('a connection that is lost at COMMIT', () => {
  test('after the server got it surfaces once; the write is there once, and whoever wrote sees it', async () => {
    const routes = await loseAt('commit', 'delivered', '/transaction/delivered')
    expect(routes.filter(({ write }) => write)).toHaveLength(1)
    expect(await timesThere('delivered')).toBe(1)
    expect(await seenByAgent()).toContain('delivered')
  })

  test('before the server got it surfaces once, and the write is not there', async () => {
    await loseAt('commit', 'lost', '/transaction/lost')
    expect(await timesThere('lost')).toBe(0)
  })

  test('leaves the pool as good as before', async () => {
    await loseAt('commit', 'delivered', '/transaction/again')
    expect((await agent.get('/transaction/next')).status).toBe(200)
    expect(await seenByAgent()).toEqual(expect.arrayContaining(['again', 'next']))
  })
})

test('an insert by itself, whose connection is lost after the server got it, is not sent again', async () => {
  const routes = await loseAt('alone', 'delivered', '/insert/alone')
  expect(routes.map(({ node, reason }) => `${node}: ${reason}`)).toEqual(['primary: write'])
  expect(await timesThere('alone')).toBe(1)
  expect(await seenByAgent()).toContain('alone')
})
