import { createServer, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import express from 'express'
import type { Kysely } from 'kysely'
import { describe, expect, it, vi } from 'vitest'
import { capturePin } from 'write-pinning'
import { contract } from '../contract/contract.ts'
import type { Handler, Reply, Served } from '../contract/framework.ts'
import type { Database } from '../support/cluster.ts'
import { SECRET } from '../support/exact.ts'
import { type Answer, listenOn } from '../support/http.ts'
import { useShop } from '../support/shop.ts'

// A gateway writes to a cluster of its own, and passes on what an upstream has answered, which wrote to another one. A browser keeps
// one cookie of a name: the last.
const OTHER_SECRET = 'another secret of at least 32 characters'
const [shop, billing] = [useShop({ isLate: true }), useShop({ isLate: true })]
const [shopDb, billingDb] = [shop.open({ name: 'shop' }), billing.open({ name: 'billing' })]

const insert = (db: Kysely<Database>) => db.insertInto('item').values({ name: 'lamp' }).execute()
const count = async (db: Kysely<Database>) => (await db.selectFrom('item').selectAll().execute()).length
const counts: Handler = async () => ({ body: [await count(shopDb), await count(billingDb)] })

/** How an application can pass on the `Set-Cookie` of an upstream. */
const ways: [string, (cookies: string[], response: ServerResponse) => Reply | undefined][] = [
  [
    'one header of text',
    ([cookie = '']) => ({ headers: { 'Set-Cookie': cookie, 'X-Other': 'x' }, body: 'done' }),
  ],
  [
    'an array',
    (cookies, response) => {
      response.setHeader('Set-Cookie', ['own=1', ...cookies])
      return { body: 'done' }
    },
  ],
  [
    'one after the other',
    (cookies, response) => {
      for (const each of ['own=1', ...cookies]) response.appendHeader('set-cookie', each)
      return { body: 'done' }
    },
  ],
  [
    'an object for writeHead()',
    (cookies, response) => end(response, { 'set-cookie': ['own=1', ...cookies] }),
  ],
  [
    'a list for writeHead()',
    (cookies, response) =>
      end(
        response,
        ['own=1', ...cookies].flatMap((each) => ['Set-Cookie', each]),
      ),
  ],
  [
    'pairs for writeHead()',
    (cookies, response) => end(response, ['own=1', ...cookies].map((each) => ['Set-Cookie', each]) as never),
  ],
]

function end(response: ServerResponse, headers: OutgoingHttpHeaders | string[]): undefined {
  response.writeHead(200, headers as OutgoingHttpHeaders).end('done')
}

contract((serve) => {
  const upstream = (options: object = {}): Promise<Served> =>
    serve({
      options: signed(options),
      routes: {
        'POST /': async () => {
          await insert(billingDb)
          return { body: 'done' }
        },
        'GET /': counts,
      },
    })

  /** A gateway that writes by itself, unless it is told not to, and passes on what the upstream has set. */
  const gateway = (
    from: Served,
    pass: (cookies: string[], response: ServerResponse, answer: Answer) => Reply | undefined,
    options: object = {},
  ): Promise<Served> => {
    const post: Handler = async ({ response }) => {
      const answer = await from.userAgent().post('/')
      return pass([...answer.setCookies], response, answer)
    }
    return serve({
      options: signed(options),
      routes: {
        'POST /': async (exchange) => {
          await insert(shopDb)
          return post(exchange)
        },
        'POST /search': { marks: { dbWrite: false }, handler: post },
        'GET /pass': post,
        'POST /shop': async () => {
          await insert(shopDb)
          return { body: 'done' }
        },
        'GET /': counts,
      },
    })
  }

  const pins = ({ setCookies }: Answer) => setCookies.filter((each) => each.startsWith('write_pin'))

  describe('a gateway that writes, and passes on the pin of an upstream', () => {
    it.each(ways)('as %s has one cookie leave, that demands what both do', async (way, pass) => {
      const served = await gateway(await upstream(), pass)
      const user = served.userAgent()
      const answer = await user.post('/')
      expect(pins(answer)).toHaveLength(1)
      if (way !== 'one header of text') expect(answer.setCookies).toContain('own=1')
      expect((await user.get('/')).json()).toEqual([1, 1])
    })

    it.each([
      ['POST', '/search'],
      ['GET', '/pass'],
    ] as const)('by %s %s, which does not pin, keeps what its request has brought', async (method, path) => {
      const served = await gateway(await upstream(), passOn)
      const user = served.userAgent()
      await user.post('/shop')
      const answer = await (method === 'GET' ? user.get(path) : user.post(path))
      expect(pins(answer)).toHaveLength(1)
      expect((await user.get('/')).json()).toEqual([1, 1])
    })

    it('that lasts longer has its cookie last as long', async () => {
      const served = await gateway(await upstream({ pinningSeconds: 60 }), passOn, { pinningSeconds: 1 })
      const cookies = pins(await served.userAgent().post('/'))
      expect(cookies).toHaveLength(1)
      expect(Number(/Max-Age=(\d+)/.exec(cookies.join())?.[1])).toBeGreaterThan(55)
    })

    it('without a secret has one cookie leave, too', async () => {
      const served = await gateway(await upstream(UNSIGNED), passOn, UNSIGNED)
      const user = served.userAgent()
      expect(pins(await user.post('/'))).toHaveLength(1)
      expect((await user.get('/')).json()).toEqual([1, 1])
    })

    it('leaves a cookie of another path or domain where it is, and demands what it does', async () => {
      for (const others of [
        '; Path=/upstream',
        '; Path=/; Domain=example.org',
        '; Path=/; Secure; Partitioned',
        '',
      ]) {
        const served = await gateway(await upstream(), ([cookie = '']) => ({
          headers: { 'set-cookie': cookie.replace(/;.*/, others) },
          body: 'done',
        }))
        const user = served.userAgent()
        const answer = await user.post('/')
        expect(pins(answer), others).toHaveLength(2)
        expect(pins(answer)[1], others).toContain('; Path=/; HttpOnly; SameSite=Lax')
        expect((await user.get('/')).json()).toEqual([expect.any(Number), expect.any(Number)])
        const last = pins(answer)[1]?.split(';')[0] ?? ''
        const [ofShop, ofBilling] = (await served.userAgent().get('/', { headers: { cookie: last } })).json()
        expect(Math.min(ofShop, ofBilling), others).toBeGreaterThan(0)
      }
    })

    it('that nobody here can verify has its reads go to the primary, and keeps its own', async () => {
      const cookie = { name: 'write_pin' }
      const from = await upstream({ secret: OTHER_SECRET, cookie })
      const served = await gateway(from, passOn, { cookie })
      const user = served.userAgent()
      expect(pins(await user.post('/'))).toHaveLength(1)
      expect((await user.get('/')).json()).toEqual([1, 1])
      expect((await user.get(from.userAgent().origin)).json()[1]).toBe(1)
    })

    it('that is none, or is over, has no effect', async () => {
      for (const value of ['', 'x', '1t1', `${'1t'.repeat(500)}`]) {
        const served = await gateway(await upstream(), () => ({
          headers: { 'set-cookie': `write_pin=${value}; Path=/; Max-Age=0` },
          body: 'done',
        }))
        const user = served.userAgent()
        await user.post('/')
        expect((await user.get('/')).json()[0]).toBeGreaterThan(0)
      }
    })

    it('in the header has one token leave, that demands what both do', async () => {
      const header = 'X-Pin'
      const served = await gateway(
        await upstream({ header }),
        (_cookies, _response, { headers }) => ({
          headers: { 'x-pin': String(headers['x-pin']) },
          body: 'done',
        }),
        { header },
      )
      const token = (await served.userAgent().post('/')).headers['x-pin']
      const answer = await served.userAgent().get('/', { headers: { 'x-pin': token } })
      expect(answer.json()).toEqual([1, 1])
    })
  })

  it('a gateway that does not write, and passes on two pins of a POST, has one cookie leave', async () => {
    const first = await upstream()
    const served = await gateway(await upstream(), (cookies, response) => {
      response.setHeader('set-cookie', [...more, ...cookies])
      return { body: 'done' }
    })
    await insert(shopDb)
    const more = (await first.userAgent().post('/')).setCookies
    const user = served.userAgent()
    expect(pins(await user.post('/search'))).toHaveLength(1)
    expect((await user.get('/')).json()[1]).toBe(2)
  })
})

const UNSIGNED = {}

function signed(options: object): object {
  return options === UNSIGNED ? { pin: 'exact' } : { pin: 'exact', secret: SECRET, ...options }
}

describe('two copies of the package on one request', () => {
  it('have one cookie leave, that demands what both do', async () => {
    const first = (await import('../../src/express/index.ts')).writePinning
    vi.resetModules()
    const second = (await import('../../src/express/index.ts')).writePinning
    expect(second).not.toBe(first)
    const app = express()
    app.use(first({ secret: SECRET, pinningSeconds: 60 }))
    app.use(second({ secret: SECRET, pin: 'exact', header: 'x-pin' }))
    app.post('/', async (_request, response) => {
      await insert(shopDb)
      await capturePin()
      response.end('done')
    })
    const server = createServer(app)
    const answer = await (await listenOn(server))().post('/')
    server.closeAllConnections()
    server.close()
    expect(answer.setCookies).toEqual([expect.stringMatching(/Max-Age=60;/)])
  })
})

function passOn(cookies: string[]): Reply {
  return { headers: { 'set-cookie': cookies[0] ?? '' }, body: 'done' }
}
