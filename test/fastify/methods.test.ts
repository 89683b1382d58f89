import { fastify } from 'fastify'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { openDatabase, startShop } from '../support/cluster.ts'
import { listen, pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'

const cluster = await startShop(2)
const db = openDatabase(cluster)
const app = fastify()
app.addHttpMethod('PROPFIND')
await app.register(writePinning, { pinningSeconds: 15 })
app.all('/items', async () => db.selectFrom('item').selectAll().execute())
app.post('/add', async (_request, reply) => {
  await db.insertInto('item').values({ name: 'lamp' }).execute()
  return reply.redirect('/items', 303)
})
const agent = await listen(app)

beforeEach(async () => {
  for (const replica of cluster.replicas) await replica.pauseReplay()
})

afterEach(async () => {
  for (const replica of cluster.replicas) await replica.resumeReplay()
  await cluster.primary.query('truncate item')
  await cluster.waitForCatchup()
})

afterAll(async () => {
  await app.close()
  await db.destroy()
  await cluster.stop()
})

describe('the method of a request', () => {
  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE'])(
    '%s without a pin reads from a replica and pins nobody',
    async (method) => {
      const user = agent()
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
      const user = agent()
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
})

describe('a read after a write', () => {
  it('sees the write with the cookie, from the primary', async () => {
    const user = agent()
    const added = await user.post('/add')
    expect(added.status).toBe(303)
    const routes = await whereAndWhy(async () => {
      expect((await user.get('/items')).json()).toMatchObject([{ name: 'lamp' }])
    })
    expect(routes).toEqual(['primary: pin'])
  })

  it('does not see it without the cookie, from a replica that lags', async () => {
    await agent().post('/add')
    expect((await agent().get('/items')).json()).toEqual([])
  })

  it('does not renew the pin', async () => {
    const user = agent()
    await user.post('/add')
    const pin = await user.pin()
    expect((await user.get('/items')).setCookies).toEqual([])
    expect(await user.pin()).toBe(pin)
  })

  it('starts the time anew when it is followed by another write', async () => {
    const user = agent()
    await user.post('/add')
    const first = expiryOf(await user.pin())
    await user.post('/add')
    expect(expiryOf(await user.pin())).toBeGreaterThan(first)
  })
})

function expiryOf(pin: string | undefined): number {
  return Number.parseInt((pin ?? '').slice(2), 36)
}
