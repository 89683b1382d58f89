import { once } from 'node:events'
import { request as requestHttp } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { dbWrite, useReplica, withoutPin } from 'write-pinning'
import { markRoute, writePinning } from 'write-pinning/express'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'
import { overEachExpress } from './support.ts'

const { cluster, read, insert, atEnd } = useShop()
// Connected outside every request: its callbacks run in none.
let shared: pg.Client

beforeAll(async () => {
  shared = new pg.Client({ connectionString: cluster.primary.connectionString })
  atEnd(() => shared.end())
  await shared.connect()
})

function losing(_request: Request, _response: Response, next: NextFunction): void {
  shared.query('select 1', () => next())
}

function reading(_request: Request, response: Response, next: NextFunction): void {
  read().then((items) => response.json(items), next)
}

function inserting(_request: Request, response: Response, next: NextFunction): void {
  insert().then(() => response.send('done'), next)
}

overEachExpress((express, serve) => {
  describe('a context that a callback of a shared client has lost', () => {
    it('is there again where the middleware is used once more', async () => {
      const pinning = writePinning()
      const app = express().use(pinning, losing)
      app.get('/behind', pinning, inserting)
      app.use(pinning)
      app.all('/items', reading)
      app.get('/visit', inserting)
      app.get('/own', losing, pinning, inserting)
      const user = await serve(app)
      const warned = await warningsOf(async () => {
        const routes = await whereAndWhy(() => Promise.all([user.post('/items'), user.get('/items')]))
        expect(routes.sort()).toEqual(['primary: write-request', 'replica: read'])
        expect(pinCookie(await user.get('/behind'))).toBeDefined()
        expect(pinCookie(await user.get('/visit'))).toBeDefined()
        expect(pinCookie(await user.get('/own'))).toBeDefined()
      })
      expect(warned).toEqual([])
      expect(pinning.counts.set).toBe(4)
    })

    it('is there again behind markRoute()', async () => {
      const app = express().use(writePinning(), losing)
      app.post('/search', markRoute({ dbWrite: false }), reading)
      expect(await whereAndWhy(async () => (await serve(app)).post('/search'))).toEqual(['replica: read'])
    })

    it('does not cost the pin of a method or of a mark, sends reads to the primary, and is warned about once', async () => {
      const app = express().use(writePinning(), losing)
      app.post('/items', reading)
      app.get('/track', dbWrite(reading))
      const user = await serve(app)
      let routes: string[] = []
      const warned = await warningsOf(async () => {
        routes = await whereAndWhy(async () => {
          expect(pinCookie(await user.post('/items'))).toBeDefined()
          expect(pinCookie(await user.get('/track'))).toBeDefined()
        })
      })
      expect(routes).toEqual(['primary: no-context', 'primary: no-context'])
      expect(warned).toEqual(['WRITE_PINNING_CONTEXT_LOST'])
    })
  })

  describe('a scope around a middleware of callbacks', () => {
    it('ends where the middleware is used once more', async () => {
      const pinning = writePinning()
      const inScope = (_request: Request, _response: Response, next: NextFunction) =>
        void read().then(() => next(), next)
      const app = express().use(pinning, withoutPin.wrap(inScope), useReplica.wrap(inScope), pinning)
      app.get('/', inserting)
      const user = await serve(app)
      const routes = await whereAndWhy(async () => expect(pinCookie(await user.get('/'))).toBeDefined())
      expect(routes).toEqual(['replica: read', 'replica: use-replica', 'primary: write'])
    })
  })

  describe('a listener', () => {
    it('of the response has the context, also where the client goes away', async () => {
      const pinning = writePinning()
      const app = express().use(pinning)
      app.get('/feed', (_request, response) => {
        response.on('close', () => void insert())
        response.write('first')
      })
      const user = await serve(app)
      const client = requestHttp(new URL('/feed', user.origin), { agent: false }).end()
      client.on('error', () => {})
      await once(client, 'response')
      client.destroy()
      await expect.poll(() => pinning.counts.late).toBe(1)
    })

    it('stays in the scope in which the application emits its event', async () => {
      const app = express().use(writePinning())
      app.post('/', (request, response) => {
        request.on('own', () => void read().then((items) => response.json(items)))
        useReplica(() => void request.emit('own'))
      })
      expect(await whereAndWhy(async () => (await serve(app)).post('/'))).toEqual(['replica: use-replica'])
    })
  })

  describe('an error', () => {
    it('of a handler of promises reaches an error handler in the context, and pins', async () => {
      const app = express().use(writePinning())
      app.get('/', (_request, _response, next) => void insert().then(() => next(new Error('too late'))))
      app.use(async (_error: unknown, _request: Request, response: Response, _next: NextFunction) => {
        await read()
        response.status(500).send('sorry')
      })
      const user = await serve(app)
      const routes = await whereAndWhy(async () => {
        const answer = await user.get('/')
        expect(answer.status).toBe(500)
        expect(pinCookie(answer)).toBeDefined()
      })
      expect(routes).toEqual(['primary: write', 'primary: own-write'])
    })
  })
})
