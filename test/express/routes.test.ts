import type { NextFunction, Request, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { dbWrite, markWrite } from 'write-pinning'
import { markRoute, writePinning } from 'write-pinning/express'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'
import { overEachExpress } from './support.ts'

const { read, insert } = useShop()

function reading(_request: Request, response: Response, next: NextFunction): void {
  read().then((items) => response.json(items), next)
}

function readingFirst(_request: Request, _response: Response, next: NextFunction): void {
  read().then(() => next(), next)
}

function writing(_request: Request, response: Response, next: NextFunction): void {
  insert().then(() => response.send('done'), next)
}

overEachExpress((express, serve) => {
  describe('what a route says of itself', () => {
    it('holds for the handlers that come before the one that says it', async () => {
      const app = express().use(writePinning())
      app.get('/track', readingFirst, dbWrite(reading))
      app.post('/search', readingFirst, markRoute({ dbWrite: false }), reading)
      const user = await serve(app)
      expect(await whereAndWhy(() => user.post('/search'))).toEqual(['replica: read', 'replica: read'])
      expect(await whereAndWhy(() => user.get('/track'))).toEqual([
        'primary: write-request',
        'primary: write-request',
      ])
    })

    it('holds for its parameters too', async () => {
      const app = express().use(writePinning())
      app.param('id', (_request, _response, next) => void read().then(() => next(), next))
      app.get('/items/:id', dbWrite(reading))
      const user = await serve(app)
      expect(await whereAndWhy(() => user.get('/items/1'))).toEqual([
        'primary: write-request',
        'primary: write-request',
      ])
    })

    it('holds for its methods only', async () => {
      const app = express().use(writePinning())
      app
        .route('/items')
        .get(reading)
        .put(markRoute({ dbWrite: false }), reading)
        .delete(reading)
      const user = await serve(app)
      expect(await whereAndWhy(() => user.request('PUT', '/items'))).toEqual(['replica: read'])
      expect(await whereAndWhy(() => user.request('DELETE', '/items'))).toEqual(['primary: write-request'])
    })

    it('does not outlive a route that passes the request on', async () => {
      const app = express().use(writePinning())
      app.post('/items', markRoute({ dbWrite: false, readFrom: 'replica' }), (_request, _response, next) =>
        next('route'),
      )
      app.post('/items', reading)
      const user = await serve(app)
      const routes = await whereAndWhy(async () => expect(pinCookie(await user.post('/items'))).toBeDefined())
      expect(routes).toEqual(['primary: write-request'])
    })

    it('stands, although a mark says otherwise later, where dbWrite() has run', async () => {
      const app = express().use(writePinning())
      app.use('/items', dbWrite(readingFirst))
      app.post('/items', markRoute({ dbWrite: false }), reading)
      const user = await serve(app)
      const routes = await whereAndWhy(async () => expect(pinCookie(await user.post('/items'))).toBeDefined())
      expect(routes).toEqual(['primary: write-request', 'primary: write-request'])
    })

    it('is what its last mark says', async () => {
      const app = express().use(writePinning())
      app.post('/items', markRoute({ dbWrite: true }), markRoute({ dbWrite: false }), reading)
      const user = await serve(app)
      expect((await user.post('/items')).setCookies).toEqual([])
    })

    it('counts from where it runs, if something has wrapped its handlers', async () => {
      const app = express().use(writePinning())
      const wrapped = (handler: (request: Request, response: Response, next: NextFunction) => unknown) =>
        ((request, response, next) => handler(request, response, next)) as typeof reading
      app.get('/track', wrapped(dbWrite(reading)))
      app.post('/search', wrapped(markRoute({ dbWrite: false })), reading)
      const user = await serve(app)
      const tracked = await whereAndWhy(async () => expect(pinCookie(await user.get('/track'))).toBeDefined())
      expect(tracked).toEqual(['primary: write-request'])
      user.jar.removeAllCookiesSync()
      const found = await whereAndWhy(async () => expect((await user.post('/search')).setCookies).toEqual([]))
      expect(found).toEqual(['replica: read'])
    })
  })

  describe('markRoute() in use()', () => {
    it('holds for a server that is no route, as many of GraphQL are', async () => {
      const app = express().use(writePinning())
      app.use('/graphql', markRoute({ dbWrite: false, readFrom: 'primary' }), (request, response, next) => {
        if (request.query.write === undefined) reading(request, response, next)
        else writing(request, response, next)
      })
      const user = await serve(app)
      const routes = await whereAndWhy(async () =>
        expect((await user.post('/graphql')).setCookies).toEqual([]),
      )
      expect(routes).toEqual(['primary: read-from'])
      expect(pinCookie(await user.post('/graphql?write'))).toBeDefined()
    })

    it('holds for the routes after it under its path, whose own marks are stronger', async () => {
      const app = express().use(writePinning())
      const router = express.Router()
      router.use(markRoute({ dbWrite: false }))
      router.post('/find', reading)
      router.post('/keep', markRoute({ dbWrite: true }), reading)
      app.use('/search', router)
      app.post('/items', reading)
      const user = await serve(app)
      expect((await user.post('/search/find')).setCookies).toEqual([])
      expect(pinCookie(await user.post('/search/keep'))).toBeDefined()
      expect(pinCookie(await user.post('/items'))).toBeDefined()
    })

    it('is nothing where the middleware was not used', async () => {
      const app = express()
      app.post('/search', markRoute({ dbWrite: false }), reading)
      const user = await serve(app)
      expect(await whereAndWhy(() => user.post('/search'))).toEqual(['primary: no-context'])
    })
  })

  describe('a request that no route answers', () => {
    it('pins where a middleware answers it, and not where nobody does', async () => {
      const app = express().use(writePinning())
      app.use('/rpc', reading)
      const user = await serve(app)
      expect(pinCookie(await user.post('/rpc'))).toBeDefined()
      expect((await user.post('/nowhere')).setCookies).toEqual([])
    })

    it('pins nobody in a 404, although everything was marked', async () => {
      const app = express().use(writePinning(), markRoute({ dbWrite: true }))
      expect((await (await serve(app)).get('/nowhere')).setCookies).toEqual([])
    })
  })

  describe('the middleware', () => {
    it('may stand in a router, or in a route', async () => {
      const app = express()
      const router = express.Router().use(writePinning())
      router.post('/', reading)
      app.use('/shop', router)
      app.post('/one', writePinning(), markRoute({ dbWrite: false }), reading)
      app.post('/two', writePinning(), reading)
      app.post('/three', reading)
      const user = await serve(app)
      expect(pinCookie(await user.post('/shop'))).toBeDefined()
      expect((await user.post('/one')).setCookies).toEqual([])
      expect(pinCookie(await user.post('/two'))).toBeDefined()
      expect((await user.post('/three')).setCookies).toEqual([])
    })

    it('serves an application within an application', async () => {
      const inner = express()
      inner.get('/track', dbWrite(reading))
      inner.post('/search', markRoute({ dbWrite: false }), reading)
      const user = await serve(express().use(writePinning()).use('/inner', inner))
      expect((await user.post('/inner/search')).setCookies).toEqual([])
      expect(pinCookie(await user.get('/inner/track'))).toBeDefined()
    })

    it('sets one pin where it is used twice, and warns where a second one was made', async () => {
      const first = writePinning()
      const app = express().use(first, first)
      app.post('/', reading)
      const user = await serve(app)
      const quiet = await warningsOf(async () => expect(pinCookie(await user.post('/'))).toBeDefined())
      expect(quiet).toEqual([])
      expect(first.counts.set).toBe(1)

      const another = await serve(
        express().use(writePinning(), writePinning({ cookie: { name: 'other' } }), reading),
      )
      const warned = await warningsOf(async () => {
        expect((await another.post('/')).setCookies).toEqual([expect.stringMatching(/^write_pin=/)])
        await another.post('/')
      })
      expect(warned).toEqual(['WRITE_PINNING_MADE_TWICE'])
    })
  })

  describe('a warning', () => {
    it('comes once for all that reached no route, whatever names their clients make up', async () => {
      const app = express().use(writePinning())
      app.use('/:tenant', (_request, response) => {
        markWrite()
        response.set('cache-control', 'public').end('done')
      })
      const user = await serve(app)
      const warnings = await warningsOf(async () => {
        for (const tenant of ['anna', 'ben', 'carla']) await user.get(`/${tenant}`)
      })
      expect(warnings).toHaveLength(1)
    })

    it('names the pattern of a route and no value of a parameter, and comes once for a router with one', async () => {
      const messages: string[] = []
      const onWarning = (warning: Error) => void messages.push(warning.message)
      process.on('warning', onWarning)
      const router = express.Router()
      router.post('/orders/:order', (_request, response) => {
        response.set('cache-control', 'public').send('done')
      })
      const app = express().use(writePinning()).use('/v1/users/:token', router)
      const user = await serve(app)
      for (const token of ['4dead', '5beef']) await user.post(`/v1/users/${token}/orders/7`)
      await new Promise(setImmediate)
      process.off('warning', onWarning)
      expect(messages).toEqual([expect.stringMatching(/^POST \/v1\/users\/:\/orders\/:order answers/)])
    })
  })
})
