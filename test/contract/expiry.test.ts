import { AsyncResource } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { withResolvers } from '../support/with-resolvers.ts'
import { contract } from './contract.ts'
import type { App } from './framework.ts'

const { read } = useShop()

const app: App = {
  options: { pinningSeconds: 1 },
  routes: {
    'ALL /items': async (exchange) => ({ body: { items: await read(), pin: exchange.writePin } }),
  },
}

contract((serve) => {
  describe('after pinningSeconds', () => {
    it('reads come from a replica again, even if the client kept the cookie', async () => {
      const user = (await serve(app)).userAgent()
      const cookie = pinCookie(await user.post('/items')) ?? ''
      const kept = cookie.slice(0, cookie.indexOf(';'))
      const until = Number.parseInt(kept.slice('write_pin=1t'.length), 36)
      const pinned = await whereAndWhy(() => user.get('/items', { headers: { cookie: kept } }))
      expect(pinned).toEqual(['primary: pin'])

      let routes: string[] = []
      while (!routes.includes('replica: read')) {
        routes = await whereAndWhy(() => user.get('/items', { headers: { cookie: kept } }))
      }
      expect(Date.now()).toBeGreaterThanOrEqual(until)
    })

    it('a context that outlives its request reads from a replica again', async () => {
      const outliving = withResolvers<() => Promise<unknown>>()
      const { userAgent } = await serve({
        options: { pinningSeconds: 1 },
        routes: {
          'POST /': async () => {
            // What a timer or a socket of this request's would do, long after the answer.
            outliving.resolve(AsyncResource.bind(read))
            return { body: 'done' }
          },
        },
      })
      await userAgent().post('/')
      const readLater = await outliving.promise
      expect(await whereAndWhy(readLater)).toEqual(['primary: write-request'])
      await expect.poll(() => whereAndWhy(readLater), { timeout: 3_000 }).toEqual(['replica: read'])
    })
  })

  describe('the pin of a request', () => {
    it('says whether, why and until when', async () => {
      const user = (await serve(app)).userAgent()
      expect((await user.get('/items')).json().pin).toEqual({ pinned: false })
      const written = (await user.post('/items')).json().pin
      expect(written).toMatchObject({ pinned: true, reason: 'method' })
      const pin = (await user.get('/items')).json().pin
      expect(pin).toMatchObject({ pinned: true, reason: 'cookie' })
      expect(Date.parse(pin.until)).toBeGreaterThanOrEqual(Date.parse(written.until))
    })
  })
})
