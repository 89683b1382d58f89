import { describe, expect, it } from 'vitest'
import { capturePin, pinAccount } from 'write-pinning'
import { memoryPinStore } from 'write-pinning/stores'
import { pinCookie, valueOfCookie } from '../support/http.ts'
import { routesOf } from '../support/routes.ts'
import { contract } from './contract.ts'
import type { App } from './framework.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { cluster, insert, read } = useLaggingShop()

const SECRET = 'a secret of at least thirty-two characters'
const shop = (options: object): App => ({
  options: { pin: 'exact', secret: SECRET, ...options },
  routes: {
    'POST /items': async () => {
      await insert()
      // A framework that holds no response up needs to be told to wait for the position.
      await capturePin()
      return { redirect: '/items', status: 303 }
    },
    'GET /items': async () => ({ body: await read() }),
  },
})

contract((serve) => {
  describe('under an exact pin', () => {
    it('whoever wrote sees it, from the primary as long as no replica has replayed it, and then from a replica', async () => {
      const { userAgent } = await serve(shop({}))
      const user = userAgent()
      expect((await user.get('/items')).json()).toHaveLength(0)
      const wrote = await user.post('/items')
      expect(pinCookie(wrote)).toContain('Max-Age=15')
      const [route] = await routesOf(async () => expect((await user.get('/items')).json()).toHaveLength(1))
      expect(route).toMatchObject({ role: 'primary', reason: 'pin' })
      for (const replica of cluster.replicas) await replica.resumeReplay()
      await cluster.waitForCatchup()
      const [later] = await routesOf(async () => expect((await user.get('/items')).json()).toHaveLength(1))
      expect(later?.reason).toBe('pin')
      expect(later?.role).toBe('replica')
    })

    it('whoever wrote sees it, whether or not the response waited for the position', async () => {
      const { userAgent } = await serve({
        ...shop({}),
        routes: {
          'POST /items': async () => {
            await insert()
            return { body: 'done' }
          },
          'GET /items': async () => ({ body: await read() }),
        },
      })
      const user = userAgent()
      await user.post('/items')
      expect((await user.get('/items')).json()).toHaveLength(1)
    })

    it('a client without cookies keeps the token of a header', async () => {
      const { userAgent } = await serve(shop({ header: 'X-Write-Pin' }))
      const wrote = await userAgent().post('/items')
      const token = String(wrote.headers['x-write-pin'])
      expect(token).toBe(valueOfCookie(pinCookie(wrote)))
      const other = userAgent()
      expect((await other.get('/items')).json()).toHaveLength(0)
      expect((await other.get('/items', { headers: { 'x-write-pin': token } })).json()).toHaveLength(1)
    })
  })

  it('a pin follows the account to another device, and from a webhook', async () => {
    const pinStore = memoryPinStore()
    const account = ({ headers }: { headers: Record<string, string> }) => headers['x-user']
    const { userAgent } = await serve(shop({ pinStore, account }))
    const as = (user: string) => ({ headers: { 'x-user': user } })
    await userAgent().post('/items', as('anna'))
    await expect.poll(async () => (await userAgent().get('/items', as('anna'))).json()).toHaveLength(1)
    expect((await userAgent().get('/items', as('bert'))).json()).toHaveLength(0)
    await pinAccount('bert', { pinStore })
    expect((await userAgent().get('/items', as('bert'))).json()).toHaveLength(1)
  })
})
