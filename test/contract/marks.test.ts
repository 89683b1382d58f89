import { describe, expect, it } from 'vitest'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { contract } from './contract.ts'
import type { Handler } from './framework.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { insert, read } = useLaggingShop()

const reading: Handler = async () => ({ body: await read() })
const writing: Handler = async () => {
  await insert()
  return { body: 'done' }
}

contract((serve) => {
  describe('dbWrite', () => {
    it.each([
      ['as a mark of the route', { marks: { dbWrite: true }, handler: reading }],
      ['around the handler', { isDbWrite: true, handler: reading }],
    ])('%s makes a GET, and its HEAD, what a POST is', async (_how, route) => {
      const { userAgent } = await serve({ routes: { 'GET /track': route } })
      for (const method of ['GET', 'HEAD']) {
        const routes = await whereAndWhy(async () => {
          expect(pinCookie(await userAgent().request(method, '/track'))).toContain('Max-Age=15')
        })
        expect(routes).toEqual(['primary: write-request'])
      }
    })

    it('says so in the pin of the request', async () => {
      const { userAgent } = await serve({
        routes: { 'GET /track': { isDbWrite: true, handler: async ({ writePin }) => ({ body: writePin }) } },
      })
      expect((await userAgent().get('/track')).json()).toMatchObject({ pinned: true, reason: 'db-write' })
    })

    it('false on a POST lets its reads go to a replica and pins nobody', async () => {
      const { userAgent } = await serve({
        routes: { 'POST /search': { marks: { dbWrite: false }, handler: reading } },
      })
      const routes = await whereAndWhy(async () => {
        const answer = await userAgent().post('/search', { body: '{"words":["lamp"]}' })
        expect(answer.setCookies).toEqual([])
        expect(answer.headers['cache-control']).toBeUndefined()
      })
      expect(routes).toEqual(['replica: read'])
    })

    it('false on a POST that writes all the same pins, because the router saw it', async () => {
      const { userAgent } = await serve({
        routes: {
          'POST /search': {
            marks: { dbWrite: false },
            handler: async () => {
              await read()
              await insert()
              return { body: await read() }
            },
          },
        },
      })
      const routes = await whereAndWhy(async () => {
        const answer = await userAgent().post('/search')
        expect(pinCookie(answer)).toBeDefined()
        expect(answer.json()).toMatchObject([{ name: 'lamp' }])
      })
      expect(routes).toEqual(['replica: read', 'primary: write', 'primary: own-write'])
    })

    it('false as a mark of the route wins over the one around its handler', async () => {
      const { userAgent } = await serve({
        routes: { 'ALL /search': { marks: { dbWrite: false }, isDbWrite: true, handler: reading } },
      })
      for (const method of ['GET', 'POST']) {
        const routes = await whereAndWhy(async () => {
          expect((await userAgent().request(method, '/search')).setCookies).toEqual([])
        })
        expect(routes).toEqual(['replica: read'])
      }
    })

    it('false does not take away the pin that the user agent brought', async () => {
      const { userAgent } = await serve({
        routes: { 'POST /add': writing, 'POST /search': { marks: { dbWrite: false }, handler: reading } },
      })
      const user = userAgent()
      await user.post('/add')
      expect(await whereAndWhy(() => user.post('/search'))).toEqual(['primary: pin'])
    })
  })

  describe('readFrom', () => {
    it.each([
      ['primary', 'primary: read-from'],
      ['replica', 'replica: read-from'],
      ['replica-2', 'replica: read-from'],
    ])('%s says where the reads of a request go, and pins nothing', async (readFrom, expected) => {
      const { userAgent } = await serve({
        routes: { 'GET /report': { marks: { readFrom }, handler: reading } },
      })
      const routes = await whereAndWhy(async () => {
        expect((await userAgent().get('/report')).setCookies).toEqual([])
      })
      expect(routes).toEqual([expected])
    })

    it('with dbWrite: false on a POST reads fresh, and pins if it wrote', async () => {
      const marks = { dbWrite: false, readFrom: 'primary' }
      const { userAgent } = await serve({
        routes: { 'POST /read': { marks, handler: reading }, 'POST /write': { marks, handler: writing } },
      })
      const user = userAgent()
      const routes = await whereAndWhy(async () => expect((await user.post('/read')).setCookies).toEqual([]))
      expect(routes).toEqual(['primary: read-from'])
      expect(pinCookie(await user.post('/write'))).toBeDefined()
    })

    it('gives way to what the request has written itself', async () => {
      const { userAgent } = await serve({
        routes: {
          'POST /report': {
            marks: { readFrom: 'replica-1' },
            handler: async () => {
              await read()
              await insert()
              return { body: await read() }
            },
          },
        },
      })
      const routes = await whereAndWhy(async () => {
        expect(pinCookie(await userAgent().post('/report'))).toBeDefined()
      })
      expect(routes).toEqual(['replica: read-from', 'primary: write', 'primary: own-write'])
    })
  })

  describe('a mark that is wrong', () => {
    it.each([
      ['dbWrite', 'yes'],
      ['dbWrite', 1],
      ['readFrom', ''],
      ['readFrom', true],
    ])('(%s: %s) is refused where the route is defined', async (name, value) => {
      const app = { routes: { 'GET /': { marks: { [name]: value }, handler: reading } } }
      await expect(serve(app)).rejects.toMatchObject({ code: 'ERR_WRITE_PINNING_OPTION' })
    })
  })
})
