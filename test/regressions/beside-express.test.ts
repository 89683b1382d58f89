import type { IncomingMessage, RequestListener } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from 'node:http2'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import connect from 'connect'
import { Hono } from 'hono'
import Koa from 'koa'
import koaConnect from 'koa-connect'
import polka from 'polka'
import { describe, expect, it } from 'vitest'
import { markWrite } from 'write-pinning'
import { type WritePinningMiddleware, writePinning } from 'write-pinning/express'
import { certificate, privateKey } from '../support/certificate.ts'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

const { read, insert, listen } = useShop()

/** What the application answers, in terms of no framework. */
async function answerTo(method: string, path: string, body: () => Promise<unknown>): Promise<number> {
  if (path === '/visit') await insert('visit')
  else if (path === '/items' && method === 'POST') await insert(((await body()) as { name: string }).name)
  else if (path === '/opaque') return 200
  else if (path !== '/items') return 404
  await read()
  return 200
}

const plain: RequestListener = (request, response) => {
  answerTo(request.method ?? '', request.url ?? '', () => json(request)).then(
    (status) => response.writeHead(status, { 'x-own': '1', 'set-cookie': 'own=1' }).end('done'),
    (error) => response.writeHead(500).end(String(error)),
  )
}

function koa(pinning: WritePinningMiddleware, use: (app: Koa) => void): RequestListener {
  const app = new Koa()
  use(app)
  app.use(async (ctx) => {
    const status = await answerTo(ctx.method, ctx.path, () => json(ctx.req))
    ctx.set({ 'x-own': '1', 'set-cookie': 'own=1' })
    if (status === 200) ctx.body = 'done'
  })
  const listener = app.callback()
  expect(pinning.counts.set).toBe(0)
  return (request, response) => void listener(request, response)
}

function hono(app: Hono<{ Bindings: HttpBindings }>): RequestListener {
  app.all('*', async (c) => {
    const status = await answerTo(c.req.method, c.req.path, () => c.req.json())
    c.header('x-own', '1')
    c.header('set-cookie', 'own=1')
    return c.text('done', status as 200)
  })
  return getRequestListener(app.fetch)
}

/** How the middleware is used in front of each; README has the same. */
const hosts: [string, (pinning: WritePinningMiddleware) => RequestListener][] = [
  [
    'node:http',
    (pinning) => (request, response) => pinning(request, response, () => plain(request, response)),
  ],
  ['Koa, by koa-connect', (pinning) => koa(pinning, (app) => app.use(koaConnect(pinning)))],
  [
    'Koa, by hand',
    (pinning) =>
      koa(pinning, (app) =>
        app.use(
          (ctx, next) =>
            new Promise<void>((resolve, reject) =>
              pinning(ctx.req, ctx.res, () => void next().then(resolve, reject)),
            ),
        ),
      ),
  ],
  ['Connect', (pinning) => connect().use(pinning).use(plain)],
  ['Polka', (pinning) => polka().use(pinning).use(plain).handler],
  [
    "Hono's Node.js server, inside",
    (pinning) => {
      const app = new Hono<{ Bindings: HttpBindings }>()
      app.use(
        (c, next) =>
          new Promise<void>((resolve, reject) =>
            pinning(
              c.env.incoming as IncomingMessage,
              c.env.outgoing as never,
              () => void next().then(resolve, reject),
            ),
          ),
      )
      return hono(app)
    },
  ],
  [
    "Hono's Node.js server, around it",
    (pinning) => {
      const listener = hono(new Hono())
      return (request, response) => pinning(request, response, () => void listener(request, response))
    },
  ],
]

async function serve(listener: RequestListener): Promise<UserAgent> {
  return (await listen(listener))()
}

describe.each(hosts)('%s', (_name, make) => {
  it('answers each request, and pins where it writes', async () => {
    const pinning = writePinning()
    const user = await serve(make(pinning))
    const warnings = await warningsOf(async () => {
      const routes = await whereAndWhy(async () => {
        const answer = await user.get('/items')
        expect([answer.status, answer.body]).toEqual([200, 'done'])
        expect(answer.headers['x-own']).toBe('1')
        expect(answer.setCookies).toEqual(['own=1'])
      })
      expect(routes).toEqual(['replica: read'])
      const writing = await whereAndWhy(async () => {
        const answer = await user.post('/items', { body: '{"name":"lamp"}' })
        expect(answer.status).toBe(200)
        expect(answer.setCookies).toEqual(['own=1', expect.stringMatching(/^write_pin=/)])
        expect(pinCookie(answer)).not.toContain('Secure')
      })
      expect(writing).toEqual(['primary: write', 'primary: write-request'])
      expect(await whereAndWhy(() => user.get('/items'))).toEqual(['primary: pin'])
      expect(pinCookie(await user.get('/visit'))).toBeDefined()
      expect(pinCookie(await user.post('/opaque'))).toBeDefined()
    })
    expect(warnings).toEqual([])
    expect(pinning.counts).toMatchObject({ set: 3, late: 0 })
  })

  it('pins nobody in a 404', async () => {
    const answer = await (await serve(make(writePinning()))).post('/nowhere')
    expect(answer.status).toBe(404)
    expect(pinCookie(answer)).toBeUndefined()
  })
})

describe('the cookie is Secure', () => {
  it('over TLS, where no framework knows the protocol', async () => {
    const pinning = writePinning()
    const server = createSecureServer({ key: privateKey, cert: certificate }, (request, response) =>
      pinning(request, response, () => plain(request, response)),
    )
    expect(pinCookie(await (await listen(server))().post('/opaque'))).toMatch(/; Secure/)
  })

  it('not because a client says so that no framework trusts', async () => {
    const pinning = writePinning()
    const user = await serve((request, response) =>
      pinning(request, response, () => plain(request, response)),
    )
    const answer = await user.post('/opaque', { headers: { 'x-forwarded-proto': 'https' } })
    expect(pinCookie(answer)).not.toMatch(/; Secure/)
  })

  it('where Koa trusts its proxy and says so on the request', async () => {
    const app = new Koa({ proxy: true })
    app.use((ctx, next) => {
      Object.assign(ctx.req, { protocol: ctx.protocol })
      return next()
    })
    app.use(koaConnect(writePinning()))
    app.use((ctx) => {
      ctx.body = 'done'
    })
    const user = await serve((request, response) => void app.callback()(request, response))
    const answer = await user.post('/', { headers: { 'x-forwarded-proto': 'https' } })
    expect(pinCookie(answer)).toMatch(/; Secure/)
    expect(pinCookie(await user.post('/'))).not.toMatch(/; Secure/)
  })
})

describe('HTTP/2', () => {
  async function headersOf(server: Http2Server, method: string): Promise<Record<string, unknown>> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    try {
      return await new Promise((resolve, reject) => {
        session.on('error', reject)
        const stream = session.request({ ':method': method, ':path': '/opaque' })
        stream.on('response', resolve).on('error', reject).end()
      })
    } finally {
      session.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  it('with the API of node:http pins where it writes', async () => {
    const pinning = writePinning()
    const server = () =>
      createHttp2Server((request, response) =>
        pinning(request, response, () => {
          response.writeHead(200, [['set-cookie', 'own=1']] as never)
          response.end('done')
        }),
      )
    expect((await headersOf(server(), 'POST'))['set-cookie']).toEqual([
      'own=1',
      expect.stringMatching(/^write_pin=/),
    ])
    expect((await headersOf(server(), 'GET'))['set-cookie']).toEqual(['own=1'])
  })
})

describe('a framework without routes', () => {
  it('is warned of by the method, once', async () => {
    const pinning = writePinning()
    const user = await serve((request, response) =>
      pinning(request, response, () => {
        markWrite()
        response.writeHead(200, { 'cache-control': 'public' }).end('done')
      }),
    )
    const messages: string[] = []
    const onWarning = ({ message }: Error) => void messages.push(message)
    process.on('warning', onWarning)
    for (const path of ['/anna', '/ben']) await user.get(path)
    await new Promise(setImmediate)
    process.off('warning', onWarning)
    expect(messages).toEqual([expect.stringMatching(/^A request by GET answers with a pin/)])
  })

  it('may put what it likes where Express has a route', async () => {
    const pinning = writePinning()
    for (const route of [null, '/items', 7, { stack: [null, 7, { handle: null }] }]) {
      const user = await serve((request, response) =>
        pinning(request, response, () => {
          Object.assign(request, { route, baseUrl: null })
          expect((request as { route?: unknown }).route).toBe(route)
          response.writeHead(200, { 'cache-control': 'public' }).end('done')
        }),
      )
      expect(pinCookie(await user.post('/'))).toBeDefined()
    }
  })
})
