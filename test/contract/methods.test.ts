import { describe, expect, it } from 'vitest'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { contract } from './contract.ts'
import type { App } from './framework.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { insert, read } = useLaggingShop()

const app: App = {
  options: { pinningSeconds: 15 },
  routes: {
    'ALL /items': async () => ({ body: await read() }),
    'POST /add': async () => {
      await insert()
      return { status: 303, redirect: '/items' }
    },
  },
}

contract((serve) => {
  describe('the method of a request', () => {
    it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE'])(
      '%s without a pin reads from a replica and pins nobody',
      async (method) => {
        const user = (await serve(app)).userAgent()
        const routes = await whereAndWhy(async () => {
          const answer = await user.request(method, '/items')
          expect(answer.status).toBe(200)
          expect(answer.setCookies).toEqual([])
          expect(answer.headers['cache-control']).toBeUndefined()
        })
        expect(routes).toEqual(['replica: read'])
      },
    )

    it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'])(
      '%s reads from the primary and pins',
      async (method) => {
        const user = (await serve(app)).userAgent()
        const routes = await whereAndWhy(async () => {
          const answer = await user.request(method, '/items')
          expect(answer.status).toBe(200)
          expect(pinCookie(answer)).toMatch(
            /^write_pin=1t[0-9a-z]+; Max-Age=15; Path=\/; HttpOnly; SameSite=Lax$/,
          )
          expect(answer.headers['cache-control']).toBe('private')
        })
        expect(routes).toEqual(['primary: write-request'])
      },
    )

    it('is a read where `readMethods` says so', async () => {
      const user = (await serve({ ...app, options: { readMethods: ['GET', 'PROPFIND'] } })).userAgent()
      const routes = await whereAndWhy(async () => {
        expect((await user.request('PROPFIND', '/items')).setCookies).toEqual([])
        expect(pinCookie(await user.request('OPTIONS', '/items'))).toBeDefined()
      })
      expect(routes).toEqual(['replica: read', 'primary: write-request'])
    })
  })

  describe('a read after a write', () => {
    it('sees the write with the cookie, from the primary', async () => {
      const user = (await serve(app)).userAgent()
      const added = await user.post('/add')
      expect(added.status).toBe(303)
      expect(added.headers.location).toBe('/items')
      const routes = await whereAndWhy(async () => {
        expect((await user.get('/items')).json()).toMatchObject([{ name: 'lamp' }])
      })
      expect(routes).toEqual(['primary: pin'])
    })

    it('does not see it without the cookie, from a replica that lags', async () => {
      const { userAgent } = await serve(app)
      await userAgent().post('/add')
      expect((await userAgent().get('/items')).json()).toEqual([])
    })

    it('does not renew the pin', async () => {
      const user = (await serve(app)).userAgent()
      await user.post('/add')
      const pin = await user.pin()
      expect((await user.get('/items')).setCookies).toEqual([])
      expect(await user.pin()).toBe(pin)
    })

    it('starts the time anew when it is followed by another write', async () => {
      const user = (await serve(app)).userAgent()
      await user.post('/add')
      const first = expiryOf(await user.pin())
      await user.post('/add')
      expect(expiryOf(await user.pin())).toBeGreaterThan(first)
    })
  })
})

function expiryOf(pin: string | undefined): number {
  return Number.parseInt((pin ?? '').slice(2), 36)
}
