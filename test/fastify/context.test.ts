import type { OutgoingHttpHeaders } from 'node:http'
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import { fastify } from 'fastify'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { openDatabase, startShop } from '../support/cluster.ts'
import { listen, type RequestInit, type UserAgent } from '../support/http.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const cluster = await startShop(1)
const db = openDatabase(cluster)
const app = fastify()
await app.register(writePinning)
let onBegin = () => {}
app.addHook('onRequest', async () => onBegin())
await app.register(formbody)
await app.register(multipart, { attachFieldsToBody: 'keyValues' })
app.addContentTypeParser('application/octet-stream', (_request, payload, done) => {
  let length = 0
  payload.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  payload.on('end', () => done(null, { length }))
})

const read = () => db.selectFrom('item').selectAll().execute()
// What is awaited between two reads: each of these has lost a context somewhere before.
const detours: (() => Promise<unknown>)[] = [
  () => Promise.resolve(),
  () => new Promise((resolve) => setImmediate(resolve)),
  () => new Promise((resolve) => process.nextTick(resolve)),
  () => db.transaction().execute((trx) => trx.selectFrom('item').selectAll().execute()),
  () => cluster.primary.query('select 1'),
]

app.all('/everywhere', {
  preHandler: async () => void (await read()),
  onSend: async () => void (await read()),
  handler: async (request) => {
    for (const detour of detours) {
      await detour()
      await read()
    }
    return { body: request.body ?? null }
  },
})

// Each read carries its request's tag in its text, so that its route can be told from those of the others.
app.all('/tagged', async (request) => {
  const tagged = () => sql`select 1 as tag where ${sql.lit(request.headers['x-tag'])} <> ''`.execute(db)
  if (request.headers['x-write'] !== undefined) await db.insertInto('item').values({ name: 'lamp' }).execute()
  for (const detour of detours) {
    await detour()
    await tagged()
  }
  return 'done'
})

const shared = new pg.Client({ connectionString: cluster.primary.connectionString })

// A hook, as a session store of callbacks has it, and a handler, which go on in a callback of a client that other
// requests use as well.
app.all('/lost', { onRequest: (_request, _reply, done) => shared.query('select 1', () => done()) }, read)
app.all('/callback', { onSend: async () => void (await read()) }, (_request, reply) => {
  shared.query('select 1', () => reply.send('done'))
})

let agent: () => UserAgent

beforeAll(async () => {
  await shared.connect()
  agent = await listen(app)
})

afterAll(async () => {
  await app.close()
  await shared.end()
  await db.destroy()
  await cluster.stop()
})

function form(): FormData {
  const data = new FormData()
  data.set('name', 'lamp')
  return data
}

const bodies: [string, RequestInit, unknown][] = [
  ['JSON', { body: JSON.stringify({ name: 'lamp' }) }, { name: 'lamp' }],
  ['urlencoded', { body: new URLSearchParams({ name: 'lamp' }) }, { name: 'lamp' }],
  ['multipart', { body: form() }, { name: 'lamp' }],
  ['streamed, of 1 MB', { body: Buffer.alloc(1_000_000) }, { length: 1_000_000 }],
  ['empty', {}, null],
]

describe('the context of a request', () => {
  it.each(bodies)(
    'of a POST whose body is %s is there in preHandler, handler, onSend and what they await',
    async (_kind, init, parsed) => {
      const routes = await whereAndWhy(async () => {
        const answer = await agent().post('/everywhere', init)
        expect(answer.status).toBe(200)
        expect(answer.json()).toEqual({ body: parsed })
      })
      const reads = routes.filter((each) => each !== 'primary: transaction')
      expect(reads).toEqual(Array(detours.length + 2).fill('primary: write-request'))
    },
  )

  it.each(bodies.slice(0, -1))(
    'survives a body, %s, that comes long after the headers',
    async (_kind, init) => {
      const routes = await whereAndWhy(async () => {
        const begun = withResolvers<unknown>()
        onBegin = () => begun.resolve(undefined)
        const answer = await agent().post('/everywhere', { ...init, bodyAfter: begun.promise })
        expect(answer.status).toBe(200)
      })
      const reads = routes.filter((each) => each !== 'primary: transaction')
      expect(reads).toEqual(Array(detours.length + 2).fill('primary: write-request'))
    },
  )

  it('is never that of another of 200 concurrent requests of mixed kinds', async () => {
    const pinned = agent()
    await pinned.post('/everywhere')
    const kinds: [
      expected: string,
      send: (headers: OutgoingHttpHeaders, index: number) => Promise<unknown>,
    ][] = [
      [
        'write-request',
        (headers, index) => agent().post('/tagged', { ...bodies[index % bodies.length]?.[1], headers }),
      ],
      ['read', (headers) => agent().get('/tagged', { headers })],
      ['pin', (headers) => pinned.get('/tagged', { headers })],
      ['own-write', (headers) => agent().get('/tagged', { headers: { ...headers, 'x-write': '1' } })],
    ]
    const expected = Array.from({ length: 200 }, (_, index) => kinds[index % kinds.length]?.[0])
    const routes = await routesOf(() =>
      Promise.all(
        expected.map((_, index) => kinds[index % kinds.length]?.[1]({ 'x-tag': `<${index}>` }, index)),
      ),
    )
    for (const [index, reason] of expected.entries()) {
      const reasons = routes.filter(({ sql }) => sql.includes(`'<${index}>'`)).map((each) => each.reason)
      expect(reasons, `request ${index}`).toEqual(detours.map(() => reason))
    }
  })

  it('survives a hook that continues from the callback of a shared client', async () => {
    const routes = await whereAndWhy(() => Promise.all([agent().post('/lost'), agent().get('/lost')]))
    expect(routes.sort()).toEqual(['primary: write-request', 'replica: read'])
  })

  it('is there in onSend although the handler replied from the callback of a shared client', async () => {
    const routes = await whereAndWhy(async () => {
      const answers = await Promise.all([agent().post('/callback'), agent().get('/callback')])
      expect(answers.map((each) => each.status)).toEqual([200, 200])
    })
    expect(routes.sort()).toEqual(['primary: write-request', 'replica: read'])
  })
})
