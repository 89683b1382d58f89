import { fastify } from 'fastify'
import type { Kysely } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RouteEvent } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import type { Database } from '../support/cluster.ts'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { whenCatalogIsRead } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// The connection to the primary is lost while it commits. Nobody can know whether the write took effect. So the error
// surfaces, nothing is sent again, and the user agent is pinned: if the write is there, it sees it.
const { cluster, open, listen, atEnd } = useShop()
let proxy: TcpProxy
let db: Kysely<Database>
let openAgent: () => UserAgent
let agent: UserAgent
let errors: unknown[]

beforeAll(async () => {
  proxy = await TcpProxy.start(cluster.primary)
  atEnd(() => proxy.stop())
  db = open({ primary: proxy.connectionString })
  const app = fastify()
  await app.register(writePinning)
  app.addHook('onError', async (_request, _reply, error) => {
    errors.push(error)
  })
  // These are GET routes, which pin only if the router saw a write.
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
  // The catalog is read in transactions of its own over the same proxy. So this waits for it.
  await whenCatalogIsRead(db)
  await cluster.replicas[0]?.pauseReplay()
})

beforeEach(() => {
  errors = []
  agent = openAgent()
})

const UNKNOWN = {
  name: 'WritePinningError',
  code: 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
  message: expect.stringContaining("'primary'"),
  cause: expect.any(Error),
}
// The server says nothing, so this message is from `pg`.
const LOST = { message: expect.stringMatching(/terminated|ECONNRESET/) }

/** Cuts the request's connection when `last` is sent, and gives the statements that were sent. */
async function loseAt(
  last: string,
  message: 'delivered' | 'lost',
  path: string,
  surfaces: object = UNKNOWN,
): Promise<RouteEvent[]> {
  const cut = proxy.cutWhen((bytes) => bytes.includes(last), message)
  const routes = await routesOf(async () => {
    const answer = await agent.get(path)
    expect(answer.status).toBe(500)
    expect(pinCookie(answer)).toBeDefined()
  })
  await cut
  // One error only, although Kysely then rolls back what it could not commit, and that fails as well.
  expect(errors).toEqual([expect.objectContaining(surfaces)])
  return routes
}

const timesThere = async (name: string) =>
  (await cluster.primary.query('select from item where name = $1', [name])).length
const seenByAgent = async () => (await agent.get('/')).json().map((item: { name: string }) => item.name)

describe('a connection that is lost at COMMIT', () => {
  test('after the server got it surfaces once; the write is there once, and whoever wrote sees it', async () => {
    const routes = await loseAt('commit\0', 'delivered', '/transaction/delivered')
    expect(routes.filter(({ write }) => write)).toHaveLength(1)
    expect(await timesThere('delivered')).toBe(1)
    expect(await seenByAgent()).toContain('delivered')
  })

  test('before the server got it surfaces once, and the write is not there', async () => {
    const routes = await loseAt('commit\0', 'lost', '/transaction/lost')
    expect(routes.filter(({ write }) => write)).toHaveLength(1)
    expect(await timesThere('lost')).toBe(0)
  })

  test('is told of as it is: by a controlled transaction as well, and its cause is what was lost', async () => {
    const cut = proxy.cutWhen((bytes) => bytes.includes('commit\0'), 'delivered')
    const trx = await db.startTransaction().execute()
    await trx.insertInto('item').values({ name: 'controlled' }).execute()
    await expect(trx.commit().execute()).rejects.toMatchObject(UNKNOWN)
    await cut
    await expect(trx.rollback().execute()).rejects.toMatchObject(UNKNOWN)
    expect(await timesThere('controlled')).toBe(1)
  })

  test('leaves the pool as good as before', async () => {
    await loseAt('commit\0', 'delivered', '/transaction/again')
    expect((await agent.get('/transaction/next')).status).toBe(200)
    expect(await seenByAgent()).toEqual(expect.arrayContaining(['again', 'next']))
    expect(await timesThere('again')).toBe(1)
  })
})

test('of many commits each that is lost surfaces once, and nothing is applied twice', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `of many ${index}`)
  const failures: unknown[] = []
  for (const name of names) {
    const isCut = Number(name.split(' ').at(-1)) % 2 === 0
    const cut = isCut ? proxy.cutWhen((bytes) => bytes.includes('commit\0'), 'delivered') : undefined
    const transaction = db.transaction().execute((trx) => trx.insertInto('item').values({ name }).execute())
    await transaction.catch((error: unknown) => failures.push(error))
    await cut
  }
  expect(failures).toHaveLength(20)
  for (const failure of failures) expect(failure).toMatchObject(UNKNOWN)
  for (const name of names) expect(await timesThere(name), name).toBe(1)
})

test('an insert by itself, whose connection is lost after the server got it, is not sent again', async () => {
  const routes = await loseAt('alone', 'delivered', '/insert/alone', LOST)
  expect(routes.map(({ node, reason }) => `${node}: ${reason}`)).toEqual(['primary: write'])
  expect(await timesThere('alone')).toBe(1)
  expect(await seenByAgent()).toContain('alone')
})
