import { type FastifyInstance, fastify } from 'fastify'
import { Kysely, sql } from 'kysely'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { capturePin } from 'write-pinning'
import { writePinning as forExpress } from 'write-pinning/express'
import { writePinning as forFastify } from 'write-pinning/fastify'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { overEachExpress } from '../express/support.ts'
import type { Database } from '../support/cluster.ts'
import { heldBy, pinOfToken, SECRET } from '../support/exact.ts'
import { type Answer, listen, pinCookie, type UserAgent, valueOfCookie } from '../support/http.ts'
import { poolThatCounts } from '../support/own-questions.ts'
import type { Target } from '../support/proxy-link.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// With `monotonicReads` every response carries what its reads have seen, also where that is not known as they end. One replica is
// ahead; the other does not replay. The package's own questions to the first go through a proxy, which keeps them when it is told to.
const { cluster, atEnd } = useShop({ replicas: 2 })
let ahead: PostgresNode
let behind: PostgresNode
let questions: TcpProxy
/** The way of the application's own statements to that replica. */
let statements: TcpProxy
let dialect: PrimaryReplicaDialect
let db: Kysely<Database>
/** Which replica serves reads that may go to either. */
let chosen: 'ahead' | 'behind'

beforeAll(async () => {
  ;[ahead, behind] = cluster.replicas as [PostgresNode, PostgresNode]
})

afterEach(async () => {
  await behind.resumeReplay()
  await cluster.waitForCatchup()
})

/** Opens the database. Clients that cannot ask along with a statement are as those of `pg-native` are. */
async function open(client: 'asks along' | 'cannot ask along'): Promise<void> {
  chosen = 'ahead'
  questions = await TcpProxy.start(ahead)
  statements = await TcpProxy.start(ahead)
  const [at, via] = [statements, questions].map(({ port }) => ({ host: '127.0.0.1', port })) as [
    Target,
    Target,
  ]
  const { pool } = poolThatCounts(at, via)
  if (client === 'cannot ask along') Object.assign(pool, { Client: withoutQuery(pool) })
  dialect = new PrimaryReplicaDialect({
    primary: cluster.primary.connectionString,
    replicas: [
      { name: 'ahead', pool: pool as pg.Pool },
      { name: 'behind', pool: behind.connectionString },
    ],
    choose: (all) => all.find(({ name }) => name === chosen) ?? all[0]?.name ?? '',
    // The first is up all the time, as far as anybody knows.
    probeTimeoutMs: 60_000,
    probeIntervalMs: 50,
    cursor: Cursor,
  })
  db = new Kysely({ dialect })
  atEnd(() => questions.stop())
  atEnd(() => statements.stop())
  atEnd(() => db.destroy())
  await db.connection().execute(async () => {})
}

function withoutQuery(pool: pg.Pool) {
  const { Client } = pool as unknown as { Client: new (...args: never[]) => object }
  return class extends Client {
    static Query = undefined
  }
}

async function count(): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from item`.execute(db)
  return rows[0]?.count ?? -1
}

/** One more item, which only one replica has. */
async function addAhead(): Promise<void> {
  await behind.pauseReplay()
  await cluster.primary.query("insert into item (name) values ('more')")
  await cluster.waitForCatchup()
}

/** What the answer's pin holds. */
function held(answer: Answer): bigint | 'primary' | undefined {
  return heldBy(pinOfToken(valueOfCookie(pinCookie(answer))))
}

const OPTIONS = { pin: 'exact', monotonicReads: true, secret: SECRET } as const

async function serveFastify(routes: (app: FastifyInstance) => void): Promise<UserAgent> {
  const app = fastify()
  await app.register(forFastify, OPTIONS)
  routes(app)
  atEnd(() => app.close())
  return (await listen(app))()
}

overEachExpress((express, serve) => {
  test('a response that leaves at once carries what its read has seen', async () => {
    await open('asks along')
    const app = express()
    app.use(forExpress(OPTIONS))
    app.get('/', async (_request, response) => {
      response.json(await count())
    })
    const user = await serve(app)
    await addAhead()
    const first = await user.get('/')
    expect(held(first)).toBeTypeOf('bigint')
    chosen = 'behind'
    expect((await user.get('/')).json()).toBe(first.json())
  })
})

describe.each(['asks along', 'cannot ask along'] as const)('a client that %s', (client) => {
  test('has every response carry a pin, also where nobody answers how far a read has seen', async () => {
    await open(client)
    const user = await serveFastify((app) => app.get('/', count))
    const other = await serveFastify((app) => app.get('/', count))
    await addAhead()
    await questions.blackHole()
    const first = user.get('/')
    const [seen, second] = [await first, await other.get('/')]
    for (const answer of [seen, second]) expect(held(answer)).toBeDefined()
    chosen = 'behind'
    expect([(await user.get('/')).json(), (await other.get('/')).json()]).toEqual([
      seen.json(),
      second.json(),
    ])
  })

  test('has a response carry what the second of two reads has seen, where only the first is known', async () => {
    await open(client)
    const user = await serveFastify((app) => {
      app.get('/', count)
      app.get('/two', async () => {
        const first = await count()
        await capturePin() // what that has seen is known by now
        await addAhead()
        await questions.blackHole()
        return [first, await count()]
      })
    })
    await user.get('/')
    const [, second] = (await user.get('/two')).json()
    chosen = 'behind'
    expect((await user.get('/')).json()).toBe(second)
  })

  test('never has a request read from a replica that is behind its first read, when connections are lost in between', async () => {
    await open(client)
    const user = await serveFastify((app) => {
      app.post('/', async () => {
        await db.insertInto('item').values({ name: 'its own' }).execute()
      })
      app.get('/two', async () => {
        await addAhead()
        await questions.blackHole()
        const { accepted } = questions
        const first = await count()
        chosen = 'behind'
        // What is asked for its sake goes on to be unanswered; the watcher notices that its own connection is lost.
        questions.cut({ waiting: false })
        await vi.waitFor(() => expect(questions.accepted).toBeGreaterThan(accepted + asked))
        return [first, await count()]
      })
    })
    const asked = client === 'asks along' ? 0 : 1
    await user.post('/')
    const [row] = await cluster.primary.query<{ lsn: string }>(
      'select pg_current_wal_flush_lsn()::text as lsn',
    )
    await vi.waitFor(() => {
      for (const { position } of dialect.status().nodes) expect(position).toBe(row?.lsn)
    })
    const [first, second] = (await user.get('/two')).json()
    expect(second).toBe(first)
  })

  test('knows how far a stream has seen before its first row is handed out', async () => {
    await open(client)
    const user = await serveFastify((app) => {
      app.get('/', count)
      app.get('/stream', async () => {
        for await (const row of db
          .selectFrom('item')
          .select(sql<number>`count(*)::int`.as('count'))
          .stream()) {
          return { ...row, pin: heldBy(pinOfToken(await capturePin()))?.toString() }
        }
        return undefined
      })
    })
    await addAhead()
    const { count: streamed, pin } = (await user.get('/stream')).json()
    expect(pin).toBeDefined()
    chosen = 'behind'
    expect((await user.get('/')).json()).toBe(streamed)
  })

  test('has a read whose replica is lost under it go to the primary, where the other replica is behind', async () => {
    await open(client)
    const user = await serveFastify((app) => app.get('/', count))
    await addAhead()
    const seen = (await user.get('/')).json()
    const cut = statements.cutWhen((bytes) => bytes.includes('count(*)'))
    expect((await user.get('/')).json()).toBe(seen)
    await cut
  })
})
