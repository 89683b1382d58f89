import type { RequestListener } from 'node:http'
import fastifyExpress from '@fastify/express'
import middie from '@fastify/middie'
import express5, { type NextFunction, type Request, type Response, type Router } from 'express'
import express4 from 'express4'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { dbWrite } from 'write-pinning'
import { markRoute, writePinning as ofExpress } from 'write-pinning/express'
import { writePinning as ofFastify } from 'write-pinning/fastify'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

const { read, insert, listen, atEnd } = useShop()

type Edges = { forExpress: typeof ofExpress; forFastify: typeof ofFastify }
const oneCopy: Edges = { forExpress: ofExpress, forFastify: ofFastify }

// The package once more, as another version of it in the same process, or the build for CommonJS.
vi.resetModules()
const anotherCopy: Edges = {
  forExpress: (await import('write-pinning/express')).writePinning,
  forFastify: (await import('write-pinning/fastify')).writePinning,
}

/** The routes, in Express's words. */
function addToExpress(router: Router): void {
  const answering =
    (work: (request: Request) => Promise<unknown>) =>
    (request: Request, response: Response, next: NextFunction): void => {
      work(request)
        .then((items) => response.json({ items, pin: request.writePin.reason ?? null }))
        .catch(next)
    }
  const add = answering(async ({ body }) => {
    await insert(body.name)
    return read()
  })
  router.get('/items', answering(read))
  router.post('/items', add)
  router.put('/items', add)
  router.get('/track', dbWrite(answering(read)))
  router.get('/marked', markRoute({ dbWrite: true }), answering(read))
  router.post('/search', markRoute({ dbWrite: false }), answering(read))
  router.get('/fresh', markRoute({ readFrom: 'primary' }), answering(read))
}

/** The same in Fastify's. */
function addToFastify(app: FastifyInstance): void {
  const answering =
    (work: (request: FastifyRequest) => Promise<unknown>) =>
    async (request: FastifyRequest): Promise<unknown> => {
      const items = await work(request)
      return { items, pin: request.writePin.reason ?? null }
    }
  const add = answering(async ({ body }) => {
    await insert((body as { name: string }).name)
    return read()
  })
  app.get('/items', answering(read))
  app.post('/items', add)
  app.put('/items', add)
  app.get('/track', dbWrite(answering(read)))
  app.get('/marked', { config: { dbWrite: true } }, answering(read))
  app.post('/search', { config: { dbWrite: false } }, answering(read))
  app.get('/fresh', { config: { readFrom: 'primary' } }, answering(read))
}

/** Gives the user agent of an application whose requests come through both edges. */
type Arrangement = (first: Edges, second: Edges, options?: object) => Promise<UserAgent>

/** Here one edge answers and the other is never come to. */
const ONE_EDGE_ANSWERS = ', which is registered before the plugin'

async function fastifyApp(pinning: typeof ofFastify, options = {}): Promise<FastifyInstance> {
  const app = fastify()
  atEnd(() => app.close())
  await app.register(pinning, options)
  return app
}

function expressApp(express: typeof express5, pinning: typeof ofExpress, options = {}) {
  const app = express()
  app.use(pinning(options), express.json())
  return app
}

/** Hands a request on to another application, its body unread. */
const handingOn =
  (to: FastifyInstance) =>
  (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack()
    to.routing(request.raw, reply.raw)
  }

async function served(listener: RequestListener): Promise<UserAgent> {
  return (await listen(listener))()
}

function withExpress(version: string, express: typeof express5): [string, Arrangement][] {
  return [
    [
      `Express ${version} under @fastify/express`,
      async (first, second, options) => {
        const app = await fastifyApp(first.forFastify)
        await app.register(fastifyExpress)
        const inner = expressApp(express, second.forExpress, options)
        addToExpress(inner)
        app.use(inner as never)
        return (await listen(app))()
      },
    ],
    [
      `Express ${version} under @fastify/express${ONE_EDGE_ANSWERS}`,
      async (first, second, options) => {
        const app = fastify()
        atEnd(() => app.close())
        await app.register(fastifyExpress)
        await app.register(first.forFastify)
        const inner = expressApp(express, second.forExpress, options)
        addToExpress(inner)
        app.use(inner as never)
        return (await listen(app))()
      },
    ],
    [
      `Fastify behind the middleware under @fastify/express, over Express ${version}`,
      async (first, second, options) => {
        const app = fastify()
        atEnd(() => app.close())
        await app.register(fastifyExpress)
        app.use(express().use(first.forExpress()) as never)
        await app.register(second.forFastify, options ?? {})
        addToFastify(app)
        return (await listen(app))()
      },
    ],
    [
      `Fastify, whose middleware under @fastify/express comes behind the plugin, over Express ${version}`,
      async (first, second, options) => {
        const app = await fastifyApp(first.forFastify)
        await app.register(fastifyExpress)
        app.use(express().use(second.forExpress(options)) as never)
        addToFastify(app)
        return (await listen(app))()
      },
    ],
    [
      `Express ${version} under middie`,
      async (first, second, options) => {
        const app = await fastifyApp(first.forFastify)
        await app.register(middie)
        const inner = expressApp(express, second.forExpress, options)
        addToExpress(inner)
        app.use(inner as never)
        return (await listen(app))()
      },
    ],
    [
      `Fastify under Express ${version}`,
      async (first, second, options) => {
        const inner = await fastifyApp(second.forFastify, options)
        addToFastify(inner)
        await inner.ready()
        const app = express().use(first.forExpress())
        app.use((request, response) => inner.routing(request, response))
        return served(app)
      },
    ],
    [
      `Express in Express ${version}`,
      async (first, second, options) => {
        const inner = expressApp(express, second.forExpress, options)
        addToExpress(inner)
        return served(express().use(first.forExpress()).use(inner))
      },
    ],
  ]
}

const arrangements: [string, Arrangement][] = [
  ...withExpress('4', express4),
  ...withExpress('5', express5),
  [
    'Fastify under Fastify',
    async (first, second, options) => {
      const inner = await fastifyApp(second.forFastify, options)
      addToFastify(inner)
      await inner.ready()
      const app = await fastifyApp(first.forFastify)
      app.removeAllContentTypeParsers()
      app.addContentTypeParser('*', (_request, _payload, done) => done(null))
      app.all('/*', handingOn(inner))
      return (await listen(app))()
    },
  ],
]

const copies: [string, Edges, Edges][] = [
  ['one copy', oneCopy, oneCopy],
  ['two copies', oneCopy, anotherCopy],
  ['two copies, the other way round,', anotherCopy, oneCopy],
]

describe.each(arrangements)('%s', (name, arrange) => {
  describe.each(copies)('of %s of the package', (_copies, first, second) => {
    it('answers each request in one context, with one pin where it writes', async () => {
      const user = await arrange(first, second)
      const body = '{"name":"lamp"}'

      const warnings = await warningsOf(async () => {
        const routes = await whereAndWhy(async () => {
          const answer = await user.get('/items')
          expect(answer.json()).toMatchObject({ pin: null })
          expect(answer.setCookies).toEqual([])
        })
        expect(routes).toEqual(['replica: read'])

        for (const method of ['POST', 'PUT']) {
          user.jar.removeAllCookiesSync()
          const writing = await whereAndWhy(async () => {
            const answer = await user.request(method, '/items', { body })
            expect(answer.status).toBe(200)
            expect(answer.json()).toMatchObject({ pin: 'method' })
            expect(answer.setCookies).toEqual([expect.stringMatching(/^write_pin=/)])
          })
          expect(writing).toEqual(['primary: write', 'primary: write-request'])
        }
        expect(await whereAndWhy(() => user.get('/items'))).toEqual(['primary: pin'])
      })
      expect(warnings).toEqual([])
    })

    it('honours what its route says', async () => {
      const user = await arrange(first, second)
      for (const path of ['/track', '/marked']) {
        const marked = await whereAndWhy(async () => {
          expect((await user.get(path)).setCookies).toEqual([expect.stringMatching(/^write_pin=/)])
        })
        expect(marked, path).toEqual(['primary: write-request'])
        user.jar.removeAllCookiesSync()
      }
      const searching = await whereAndWhy(async () => {
        expect((await user.post('/search', { body: '{}' })).setCookies).toEqual([])
      })
      expect(searching).toEqual(['replica: read'])
      const fresh = await whereAndWhy(async () => {
        expect((await user.get('/fresh')).setCookies).toEqual([])
      })
      expect(fresh).toEqual(['primary: read-from'])
    })

    it('says once that the options differ, and goes by those of the first', async () => {
      const user = await arrange(first, second, { cookie: { name: 'other' } })
      const body = '{"name":"lamp"}'
      const warned = await warningsOf(async () => {
        for (let i = 0; i < 2; i++) {
          const { setCookies } = await user.post('/items', { body })
          expect(setCookies).toHaveLength(1)
        }
      })
      expect(warned).toEqual(name.endsWith(ONE_EDGE_ANSWERS) ? [] : ['WRITE_PINNING_MADE_TWICE'])
    })
  })

  it('pins nobody in a 404 that no router has a route for', async () => {
    if (name === 'Fastify under Fastify') return // Its first router has one for everything.
    const user = await arrange(oneCopy, oneCopy)
    const answer = await user.post('/nowhere')
    expect(answer.status).toBe(404)
    expect(answer.setCookies).toEqual([])
  })
})

describe('Express under @fastify/express', () => {
  it('without the middleware pins where it answers a POST, and knows the marks of its routes', async () => {
    const app = await fastifyApp(ofFastify)
    await app.register(fastifyExpress)
    const inner = express5()
    inner.post('/opaque', (_request, response) => void response.end('done'))
    inner.post('/search', markRoute({ dbWrite: false }), (_request, response) => void response.end('done'))
    inner.get('/track', markRoute({ dbWrite: true }), (_request, response) => void response.end('done'))
    app.use(inner as never)
    const user = (await listen(app))()
    expect(pinCookie(await user.post('/opaque'))).toBeDefined()
    expect(pinCookie(await user.get('/track'))).toBeDefined()
    expect((await user.post('/search')).setCookies).toEqual([])
    expect((await user.post('/nowhere')).setCookies).toEqual([])
  })

  it.each(['send', 'json'] as const)('pins what an onSend hook writes behind its %s()', async (send) => {
    const app = await fastifyApp(ofFastify)
    await app.register(fastifyExpress)
    app.addHook('onSend', async () => void (await insert('visit')))
    const inner = express5().use(ofExpress())
    inner.get('/', (_request, response) => void response[send]('done'))
    app.use(inner as never)
    const user = (await listen(app))()
    expect(pinCookie(await user.get('/'))).toBeDefined()
    expect(app.writePinning.counts).toMatchObject({ set: 1, late: 0 })
  })

  it('counts a write after a response that it has ended by itself as a late one', async () => {
    const app = await fastifyApp(ofFastify)
    await app.register(fastifyExpress)
    const inner = express5().use(ofExpress())
    const written: Promise<unknown>[] = []
    inner.get('/', (_request, response) => {
      response.end('done')
      written.push(insert('late'))
    })
    app.use(inner as never)
    const user = (await listen(app))()
    expect((await user.get('/')).setCookies).toEqual([])
    await Promise.all(written)
    expect(app.writePinning.counts).toMatchObject({ set: 0, late: 1 })
  })
})

describe('whose a request through both edges is', () => {
  it('the second may know where the first does not', async () => {
    const raised: string[] = []
    const options = {
      pinStore: {
        get: async () => undefined,
        raise: async (account: string) => void raised.push(account),
      },
      account: (request: object) => (request as { user?: { id: string } }).user?.id,
    }
    const app = fastify()
    atEnd(() => app.close())
    await app.register(ofFastify, options)
    await app.register(fastifyExpress)
    const inner = express5().use(ofExpress(options))
    inner.use((request, _response, next) => {
      Object.assign(request, { user: { id: 'anna' } })
      next()
    })
    inner.post('/items', async (_request, response) => {
      await insert('of an account')
      response.end('done')
    })
    app.use(inner as never)
    const user = (await listen(app))()
    expect((await user.post('/items')).status).toBe(200)
    await vi.waitFor(() => expect(raised).toEqual(['anna']))
  })
})

describe('a warning of a request through both edges', () => {
  it('names the route that the second has found', async () => {
    const lines: string[] = []
    const app = fastify({ logger: { level: 'warn', stream: { write: (line) => void lines.push(line) } } })
    atEnd(() => app.close())
    await app.register(ofFastify)
    await app.register(fastifyExpress)
    const inner = express5().use(ofExpress())
    inner.post('/shared/:id', (_request, response) => {
      response.set('cache-control', 'public').end('done')
    })
    app.use(inner as never)
    await (await listen(app))().post('/shared/1')
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
      expect.stringMatching(/^POST \/shared\/:id answers with a pin/),
    ])
  })
})
