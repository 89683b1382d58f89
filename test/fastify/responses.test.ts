import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { type FastifyInstance, fastify } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { markWrite } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { listen, pinCookie } from '../support/http.ts'

const apps: FastifyInstance[] = []

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function pinningApp(app = fastify() as FastifyInstance): Promise<FastifyInstance> {
  apps.push(app)
  await app.register(writePinning)
  return app
}

describe('a response that pins', () => {
  it.each([
    ['of an error that the handler throws', 500, () => Promise.reject(new Error('no'))],
    ['of a stream', 200, () => Promise.resolve(Readable.from(['a', 'b']))],
    ['without content', 204, () => Promise.resolve(undefined)],
  ])('%s carries the cookie', async (_what, status, result) => {
    const app = await pinningApp()
    app.post('/', async (_request, reply) => {
      reply.code(status)
      return result()
    })
    const answer = await (await listen(app))().post('/')
    expect(answer.status).toBe(status)
    expect(pinCookie(answer)).toBeDefined()
  })

  it('of a hook that refuses the request carries the cookie, whatever the status', async () => {
    const app = await pinningApp()
    app.addHook('preHandler', async (_request, reply) => reply.code(401).send('who are you?'))
    app.post('/', async () => 'never')
    const answer = await (await listen(app))().post('/')
    expect(answer.status).toBe(401)
    expect(pinCookie(answer)).toBeDefined()
  })

  it('of an error handler that marks a write carries the cookie', async () => {
    const app = await pinningApp()
    app.setErrorHandler((_error, _request, reply) => {
      markWrite()
      return reply.code(409).send('conflict')
    })
    app.get('/', async () => Promise.reject(new Error('no')))
    expect(pinCookie(await (await listen(app))().get('/'))).toBeDefined()
  })

  it('over HTTP/2 carries the cookie', async () => {
    const app = await pinningApp(fastify({ http2: true }) as unknown as FastifyInstance)
    app.post('/', async (_request, reply) => reply.header('set-cookie', 'own=1').send('done'))
    await app.listen({ host: '127.0.0.1', port: 0 })
    const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      session.on('error', reject)
      session.request({ ':method': 'POST', ':path': '/' }).on('response', resolve).on('error', reject).end()
    })
    session.destroy()
    expect(headers['set-cookie']).toEqual(['own=1', expect.stringMatching(/^write_pin=/)])
  })

  it('whose write comes after the headers is sent as it is', async () => {
    const app = await pinningApp()
    app.get('/', async (_request, reply) => {
      reply.hijack()
      reply.raw.flushHeaders()
      markWrite()
      reply.raw.end('late')
    })
    const answer = await (await listen(app))().get('/')
    expect(answer.body).toBe('late')
    expect(answer.setCookies).toEqual([])
  })
})
