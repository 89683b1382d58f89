import type { ErrorRequestHandler, RequestHandler } from 'express'
import { type FastifyPluginAsync, fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { WritePinningError } from 'write-pinning'
import { markRoute, writePinning as ofExpress } from 'write-pinning/express'
import { writePinning as ofFastify } from 'write-pinning/fastify'
import { overEachExpress } from '../express/support.ts'

const CALLED_BY_HAND =
  "writePinning of 'write-pinning/fastify' is the plugin itself, and is not called: write `await app.register(writePinning)`, " +
  'or `await app.register(writePinning, { … })` with options. ' +
  "For Express, import it from 'write-pinning/express' and write `app.use(writePinning())`."
const PLUGIN_IN_EXPRESS =
  "writePinning of 'write-pinning/fastify' is a plugin and no middleware: for Express, import it from 'write-pinning/express' " +
  'and write `app.use(writePinning())`; for Fastify, write `await app.register(writePinning)`.'
const NOT_CALLED =
  "writePinning of 'write-pinning/express' makes the middleware, and must be called: write `app.use(writePinning())`, " +
  'or `app.use(writePinning({ … }))` with options.'
const EXPRESS_IN_FASTIFY =
  "writePinning of 'write-pinning/express' is for Express: for Fastify, import it from 'write-pinning/fastify' and write " +
  '`await app.register(writePinning)`, without calling it.'
const MARK_NOT_CALLED =
  'markRoute makes a handler, and must be called: write `markRoute({ dbWrite: true })`, with the marks of the route.'

/** The error that `act` ends with: it is one of this package's own. */
async function errorOf(act: () => unknown): Promise<WritePinningError> {
  try {
    await act()
  } catch (error) {
    expect(error).toBeInstanceOf(WritePinningError)
    return error as WritePinningError
  }
  throw new Error('nothing was refused')
}

const refused = (message: string) => ({ code: 'ERR_WRITE_PINNING_OPTION', message })

describe('Fastify’s plugin', () => {
  it.each([
    ['without options', []],
    ['with undefined', [undefined]],
    ['with options', [{ pinningSeconds: 5 }]],
    ['with no options at all', [null]],
  ])('called by hand %s is refused at that call', (_how, args) => {
    const call = ofFastify as (...args: unknown[]) => unknown
    expect(() => call(...args)).toThrowError(expect.objectContaining(refused(CALLED_BY_HAND)))
  })

  it('given as a hook is refused at the first request, with an answer', async () => {
    const app = fastify()
    app.addHook('onRequest', ofFastify as never)
    app.get('/', async () => 'done')
    const answer = await app.inject('/')
    expect([answer.statusCode, answer.json()]).toEqual([
      500,
      expect.objectContaining(refused(PLUGIN_IN_EXPRESS)),
    ])
    await app.close()
  })

  it('registered goes on to work, also by its name in the module and in a promise of it', async () => {
    const module = import('write-pinning/fastify')
    for (const plugin of [ofFastify, await module, module]) {
      const app = fastify()
      await app.register(plugin as FastifyPluginAsync)
      app.post('/', async () => 'done')
      expect((await app.inject({ method: 'POST', url: '/' })).headers['set-cookie']).toMatch(/^write_pin=/)
      await app.close()
    }
  })
})

describe('what is for Express, registered in Fastify,', () => {
  it.each<[string, () => unknown]>([
    ['the function that makes the middleware', () => ofExpress],
    ['the middleware', () => ofExpress()],
    ['its module', () => import('write-pinning/express')],
  ])('(%s) is refused at registration', async (_what, given) => {
    for (const thing of [given(), await given()]) {
      const app = fastify()
      expect(await errorOf(() => app.register(thing as never))).toMatchObject(refused(EXPRESS_IN_FASTIFY))
      const another = fastify()
      another.register(thing as never)
      expect(await errorOf(() => another.ready())).toMatchObject(refused(EXPRESS_IN_FASTIFY))
    }
  })
})

overEachExpress((express, serve) => {
  const uses: [string, unknown, string][] = [
    ['writePinning, not called', ofExpress, NOT_CALLED],
    ['Fastify’s plugin', ofFastify, PLUGIN_IN_EXPRESS],
    ['markRoute, not called', markRoute, MARK_NOT_CALLED],
  ]
  describe.each(uses)('%s', (_what, given, message) => {
    const handler = given as RequestHandler

    it('is refused by app.use() at once', async () => {
      const app = express()
      expect(await errorOf(() => app.use(handler))).toMatchObject(refused(message))
      expect(await errorOf(() => app.use('/shop', [handler]))).toMatchObject(refused(message))
    })

    it('is refused by a router or a route at the first request, which gets an answer', async () => {
      const errors: unknown[] = []
      const app = express()
      const router = express.Router()
      router.use(handler)
      app.use('/router', router)
      app.get('/route', handler, (_request, response) => void response.send('done'))
      const onError: ErrorRequestHandler = (error, _request, response, _next) => {
        errors.push(error)
        response.status(500).send('failed')
      }
      app.use(onError)
      const user = await serve(app)
      for (const path of ['/router', '/route']) expect((await user.get(path)).status).toBe(500)
      expect(errors).toEqual([
        expect.objectContaining(refused(message)),
        expect.objectContaining(refused(message)),
      ])
      expect(errors.every((error) => error instanceof WritePinningError)).toBe(true)
    })
  })
})

describe('the types', () => {
  it('refuse each of these as well', () => {
    const wrong = () => {
      const app = fastify()
      // @ts-expect-error: the plugin is not called
      app.register(ofFastify())
      // @ts-expect-error: the plugin is not called
      app.register(ofFastify({ pinningSeconds: 5 }))
      // @ts-expect-error: a middleware is no plugin
      app.register(ofExpress())
      const use = (_handler: RequestHandler) => {}
      // @ts-expect-error: it must be called
      use(ofExpress)
      // @ts-expect-error: a plugin is no middleware
      use(ofFastify)
      // @ts-expect-error: it must be called
      use(markRoute)
    }
    expect(wrong).toBeTypeOf('function')
  })
})
