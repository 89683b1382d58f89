import cookie, { type FastifyCookieOptions } from '@fastify/cookie'
import { type FastifyInstance, fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { useEnds } from '../support/ends.ts'
import { pinCookie } from '../support/http.ts'
import { listening } from '../support/listening.ts'

const listen = listening(useEnds())

describe("the application's own @fastify/cookie", () => {
  const secret = 'a secret of the application, not ours, of 32'
  const ours = (app: FastifyInstance) => app.register(writePinning)
  const theirs = (options: FastifyCookieOptions) => (app: FastifyInstance) => app.register(cookie, options)
  const signing = { secret, parseOptions: { signed: true, path: '/own', maxAge: 1, encode: () => 'x' } }

  it.each([
    ['before us', [theirs({}), ours]],
    ['after us', [ours, theirs({})]],
    ['in another hook', [theirs({ hook: 'preHandler' }), ours]],
    ['with parseOptions and signing of its own', [theirs(signing), ours]],
  ])('registered %s loses no cookie and no pin', async (_when, steps) => {
    const app = fastify()
    for (const register of steps) await register(app)
    app.post('/', async (_request, reply) => {
      reply.setCookie('own', 'value').header('set-cookie', 'header=1')
      return 'done'
    })
    app.get('/', async (request) => request.writePin)
    const user = (await listen(app))()
    const answer = await user.post('/')
    expect(answer.status).toBe(200)
    expect(answer.setCookies.some((each) => each.startsWith('own='))).toBe(true)
    expect(answer.setCookies).toContain('header=1')
    expect(pinCookie(answer)).toContain('Path=/;')
    expect((await user.get('/')).json()).toMatchObject({ pinned: true, reason: 'cookie' })
  })

  it('registered with hook: false, which leaves cookies to the handler, loses no cookie and no pin', async () => {
    const app = fastify()
    await app.register(cookie, { hook: false })
    await app.register(writePinning)
    app.post('/', async (_request, reply) =>
      reply.header('set-cookie', app.serializeCookie('own', '1')).send(),
    )
    const { setCookies } = await (await listen(app))().post('/')
    expect(setCookies).toEqual(['own=1', expect.stringMatching(/^write_pin=/)])
  })

  it('registered in a child loses no pin', async () => {
    const app = fastify()
    await app.register(writePinning)
    app.register(async (child) => {
      await child.register(cookie)
      child.post('/child', async (_request, reply) => reply.setCookie('own', 'value').send('done'))
    })
    app.post('/', async () => 'done')
    const user = (await listen(app))()
    expect((await user.post('/child')).setCookies).toHaveLength(2)
    expect(pinCookie(await user.post('/'))).toBeDefined()
  })
})
