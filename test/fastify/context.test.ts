import { once } from 'node:events'
import { request } from 'node:http'
import type { Readable } from 'node:stream'
import { fastify } from 'fastify'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

const { cluster, read, insert, listen, atEnd } = useShop()
const app = fastify()
await app.register(writePinning)

app.all('/everywhere', {
  preValidation: async () => void (await read()),
  preHandler: async () => void (await read()),
  onSend: async () => void (await read()),
  handler: async () => void (await read()),
})

let shared: pg.Client

// A hook, as a session store of callbacks has it, and a handler, which go on in a callback of a client that other
// requests use as well.
app.all('/lost', { onRequest: (_request, _reply, done) => shared.query('select 1', () => done()) }, () =>
  read(),
)
app.all('/callback', { onSend: async () => void (await read()) }, (_request, reply) => {
  shared.query('select 1', () => reply.send('done'))
})

// What leaves the body, and the end of the response, to its handler, and goes on in their events.
app.addContentTypeParser('text/csv', (_request, payload, done) => done(null, payload))
app.post<{ Body: Readable }>('/stream', { config: { dbWrite: false } }, ({ body }, reply) => {
  body.on('data', () => {})
  body.on('end', () => void insert().then(() => reply.send('done')))
})
app.get('/feed', (_request, reply) => {
  reply.hijack()
  reply.raw.on('close', () => void insert())
  reply.raw.write('first')
})

let agent: () => UserAgent

beforeAll(async () => {
  shared = new pg.Client({ connectionString: cluster.primary.connectionString })
  atEnd(() => shared.end())
  await shared.connect()
  agent = await listen(app)
})

describe('the context of a request', () => {
  it('is there in every hook after the body', async () => {
    const routes = await whereAndWhy(() => agent().post('/everywhere', { body: '{"name":"lamp"}' }))
    expect(routes).toEqual(Array(4).fill('primary: write-request'))
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

  it('is there as a handler reads the body by itself', async () => {
    const user = agent()
    const headers = { 'content-type': 'text/csv' }
    const answer = await user.post('/stream', { headers, body: 'lamp\n'.repeat(50_000) })
    expect(pinCookie(answer)).toBeDefined()
  })

  it('is there as the client of a response goes away', async () => {
    const client = request(new URL('/feed', agent().origin), { agent: false }).end()
    client.on('error', () => {})
    await once(client, 'response')
    client.destroy()
    await expect.poll(() => app.writePinning.counts.late).toBe(1)
  })
})
