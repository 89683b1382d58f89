import { once } from 'node:events'
import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { withResolvers } from '../support/with-resolvers.ts'
import { contract } from './contract.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { insert, read } = useLaggingShop()

contract((serve) => {
  describe('a request whose client goes away', () => {
    it('before the answer runs to its end, its reads fresh, and is not counted as late', async () => {
      const arrived = withResolvers<unknown>()
      const finished = withResolvers<string[]>()
      const { counts, userAgent } = await serve({
        routes: {
          'ALL /slow': async ({ response }) => {
            arrived.resolve(undefined)
            if (!response.closed) await once(response, 'close')
            await insert()
            finished.resolve(await whereAndWhy(read))
            return { body: 'done' }
          },
          'GET /items': async () => ({ body: await read() }),
        },
      })
      const client = send(userAgent(), 'GET', '/slow')
      client.end()
      await arrived.promise
      client.destroy()
      expect(await finished.promise).toEqual(['primary: own-write'])
      expect(counts).toMatchObject({ set: 0, late: 0 })
      expect((await userAgent().get('/items')).status).toBe(200)
    })

    it.each(['GET', 'POST'])('before the answer to its %s lets the handler answer nobody', async (method) => {
      const arrived = withResolvers<unknown>()
      const answered = withResolvers<unknown>()
      const { userAgent } = await serve({
        trustProxy: '127.0.0.1',
        routes: {
          'ALL /slow': async ({ response }) => {
            arrived.resolve(undefined)
            if (!response.closed) await once(response, 'close')
            await insert()
            setImmediate(answered.resolve, undefined)
            return { body: 'done' }
          },
        },
      })
      const client = send(userAgent(), method, '/slow')
      client.end()
      await arrived.promise
      client.destroy()
      await answered.promise
      expect((await userAgent().get('/nowhere')).status).toBe(404)
    })

    it('in the middle of its body leaves the next request as it would be', async () => {
      const { counts, userAgent } = await serve({
        routes: { 'POST /items': async () => ({ body: await read() }) },
      })
      const client = send(userAgent(), 'POST', '/items', { 'content-length': 100 })
      client.write('{"name":')
      const [socket] = (await once(client, 'socket')) as [import('node:net').Socket]
      if (socket.connecting) await once(socket, 'connect')
      client.destroy()
      expect(pinCookie(await userAgent().post('/items'))).toBeDefined()
      expect(counts.late).toBe(0)
    })

    it('in the middle of a stream lets the stream end, and what it still writes is counted', async () => {
      const gone = withResolvers<unknown>()
      const { counts, userAgent } = await serve({
        routes: {
          'GET /feed': async ({ response }) => {
            response.write('first')
            if (!response.closed) await once(response, 'close')
            await insert()
            gone.resolve(undefined)
            return undefined
          },
        },
      })
      const client = send(userAgent(), 'GET', '/feed')
      client.end()
      await once(client, 'response')
      client.destroy()
      await gone.promise
      expect(counts.late).toBe(1)
    })
  })
})

function send(user: UserAgent, method: string, path: string, headers = {}) {
  const client = request(new URL(path, user.origin), { method, headers, agent: false })
  client.on('error', () => {})
  return client
}
