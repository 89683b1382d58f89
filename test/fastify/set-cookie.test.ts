import cookie, { type FastifyCookieOptions } from '@fastify/cookie'
import { type FastifyInstance, type FastifyServerOptions, fastify } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { certificate, privateKey } from '../support/certificate.ts'
import { listen, pinCookie, type UserAgent } from '../support/http.ts'

const apps: FastifyInstance[] = []

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function serve(
  options: WritePinningOptions = {},
  server: FastifyServerOptions = {},
): Promise<UserAgent> {
  const app = fastify(server) as FastifyInstance
  apps.push(app)
  await app.register(writePinning, { pinningSeconds: 15, ...options })
  app.post('/', async () => 'done')
  return (await listen(app))()
}

describe('Secure', () => {
  it('is set on HTTPS and not on HTTP', async () => {
    const plain = await serve()
    expect(pinCookie(await plain.post('/'))).not.toContain('Secure')
    const secure = await serve({}, { https: { key: privateKey, cert: certificate } } as FastifyServerOptions)
    expect(pinCookie(await secure.post('/'))).toContain('Secure')
  })

  it('follows a proxy that Fastify trusts, and no other', async () => {
    const headers = { 'x-forwarded-proto': 'https' }
    const trusting = await serve({}, { trustProxy: '127.0.0.1' })
    expect(pinCookie(await trusting.post('/', { headers }))).toContain('Secure')
    const wary = await serve()
    expect(pinCookie(await wary.post('/', { headers }))).not.toContain('Secure')
  })

  it.each<[string, WritePinningOptions['cookie']]>([
    ['the prefix __Host-', { name: '__Host-pin' }],
    ['the prefix __Secure-', { name: '__Secure-pin', path: '/shop' }],
    ['sameSite: none', { sameSite: 'none' }],
    ['partitioned', { partitioned: true }],
  ])('is set also on HTTP where %s demands it', async (_what, options) => {
    const user = await serve({ cookie: options ?? {} })
    expect(pinCookie(await user.post('/'), options?.name)).toContain('Secure')
  })
})

describe('the attributes of the cookie', () => {
  it('are those of the options', async () => {
    const user = await serve({
      pinningSeconds: 60,
      cookie: {
        name: 'p',
        path: '/shop',
        domain: 'example.org',
        httpOnly: false,
        sameSite: 'strict',
        secure: true,
      },
    })
    const { setCookies } = await user.post('/')
    expect(setCookies[0]).toMatch(
      /^p=1t\w+; Max-Age=60; Domain=example.org; Path=\/shop; Secure; SameSite=Strict$/,
    )
  })
})

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
    apps.push(app)
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
    apps.push(app)
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
    apps.push(app)
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

describe('Cache-Control of a response that pins', () => {
  async function withCacheControl(value: string): Promise<[UserAgent, string[]]> {
    const warnings: string[] = []
    const stream = { write: (line: string) => void warnings.push(JSON.parse(line).msg) }
    const app = fastify({ logger: { level: 'warn', stream } })
    apps.push(app)
    await app.register(writePinning)
    app.post('/page/:id', async (_request, reply) => reply.header('cache-control', value).send('done'))
    return [(await listen(app))(), warnings]
  }

  it('is left as the handler set it', async () => {
    const [user, warnings] = await withCacheControl('no-store')
    expect((await user.post('/page/1')).headers['cache-control']).toBe('no-store')
    expect(warnings).toEqual([])
  })

  it('is warned about once per route where it is public', async () => {
    const [user, warnings] = await withCacheControl('public, max-age=60')
    await user.post('/page/1')
    expect((await user.post('/page/2')).headers['cache-control']).toBe('public, max-age=60')
    expect(warnings).toEqual([expect.stringContaining('POST /page/:id')])
  })
})
