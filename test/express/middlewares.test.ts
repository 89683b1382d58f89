import bodyParser from 'body-parser'
import compression from 'compression'
import cookieParser from 'cookie-parser'
import type { Request, RequestHandler } from 'express'
import session from 'express-session'
import multer from 'multer'
import { describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/express'
import { pinCookie, type RequestInit } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { overEachExpress } from './support.ts'

const { read, insert } = useShop({ isLate: true })

const middlewares: [string, () => RequestHandler][] = [
  ['body-parser', () => [bodyParser.json(), bodyParser.urlencoded({ extended: false })] as never],
  ['multer', () => multer({ storage: multer.memoryStorage() }).any()],
  [
    'express-session',
    () => session({ secret: 'a secret', resave: true, saveUninitialized: true, rolling: true }),
  ],
  ['compression', () => compression({ threshold: 0 })],
  ['cookie-parser', () => cookieParser()],
]
const all = (): RequestHandler[] => middlewares.flatMap(([, make]) => make())

const orders: [string, (pinning: RequestHandler) => RequestHandler[]][] = [
  ['all behind it', (pinning) => [pinning, ...all()]],
  ['all in front of it', (pinning) => [...all(), pinning]],
  ['all behind it, the other way round', (pinning) => [pinning, ...all().reverse()]],
  ['all in front of it, the other way round', (pinning) => [...all().reverse(), pinning]],
  ...middlewares.flatMap(([name, make]): [string, (pinning: RequestHandler) => RequestHandler[]][] => [
    [`${name} alone behind it`, (pinning) => [pinning].concat(make())],
    [`${name} alone in front of it`, (pinning) => ([] as RequestHandler[]).concat(make(), pinning)],
  ]),
]

function form(): FormData {
  const data = new FormData()
  data.set('name', 'lamp')
  data.set('picture', new Blob(['x'.repeat(200_000)]), 'lamp.png')
  return data
}

const bodies: [string, RequestInit][] = [
  ['JSON', { body: '{"name":"lamp"}' }],
  ['urlencoded', { body: new URLSearchParams({ name: 'lamp' }) }],
  ['multipart', { body: form() }],
]

overEachExpress((express, serve) => {
  describe.each(orders)('with %s', (_order, middlewaresAround) => {
    it('a write pins, a read does not, and neither loses a cookie or a header', async () => {
      const pinning = writePinning()
      const app = express().use(...middlewaresAround(pinning))
      app.all('/items', async (request, response, next) => {
        try {
          await read()
          if (request.method === 'POST') await insert()
          const items = await read()
          response
            .cookie('own', '1')
            .set('x-own', '1')
            .json({ items, filler: 'x'.repeat(5_000) })
        } catch (error) {
          next(error)
        }
      })
      const user = await serve(app)
      for (const [kind, init] of bodies) {
        const routes = await whereAndWhy(async () => {
          const answer = await user.post('/items', init)
          expect(answer.status, kind).toBe(200)
          expect(pinCookie(answer), kind).toBeDefined()
          expectOwn(answer.setCookies, answer.headers['x-own'])
        })
        expect(routes, kind).toEqual(['primary: write-request', 'primary: write', 'primary: write-request'])
      }
      user.jar.removeAllCookiesSync()
      const routes = await whereAndWhy(async () => {
        const answer = await user.get('/items', { headers: { 'accept-encoding': 'identity' } })
        expect(answer.json().items).toEqual([])
        expect(pinCookie(answer)).toBeUndefined()
        expectOwn(answer.setCookies, answer.headers['x-own'])
      })
      expect(routes).toEqual(['replica: read', 'replica: read'])
      expect(pinning.counts).toMatchObject({ set: 3, late: 0 })
    })
  })

  describe('compression', () => {
    it.each(['in front', 'behind'])(
      '%s compresses a response that pins, and its header is there',
      async (where) => {
        const pinning = writePinning()
        const app = express().use(
          ...(where === 'behind' ? [pinning, compression()] : [compression(), pinning]),
        )
        app.post('/', (_request, response) => {
          response.set('content-type', 'text/plain').send('lamp '.repeat(5_000))
        })
        const user = await serve(app)
        const url = new URL('/', user.origin)
        const answer = await fetch(url, { method: 'POST', headers: { 'accept-encoding': 'gzip' } })
        expect(answer.headers.get('content-encoding')).toBe('gzip')
        expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^write_pin=/)])
        expect(await answer.text()).toBe('lamp '.repeat(5_000))
      },
    )
  })

  describe('multer', () => {
    it('gives what it received to a handler that has its context', async () => {
      const app = express().use(writePinning(), multer({ storage: multer.memoryStorage() }).any())
      app.post('/', async (request, response) => {
        await read()
        response.json({ ...request.body, sizes: filesOf(request).map(({ size }) => size) })
      })
      const user = await serve(app)
      const routes = await whereAndWhy(async () => {
        expect((await user.post('/', { body: form() })).json()).toEqual({ name: 'lamp', sizes: [200_000] })
      })
      expect(routes).toEqual(['primary: write-request'])
    })
  })
})

function expectOwn(setCookies: readonly string[], header: unknown): void {
  expect(header).toBe('1')
  expect(setCookies.filter((each) => each.startsWith('own='))).toHaveLength(1)
  expect(setCookies.filter((each) => each.startsWith('connect.sid=')).length).toBeLessThanOrEqual(1)
}

function filesOf(request: Request): Express.Multer.File[] {
  return request.files as Express.Multer.File[]
}
