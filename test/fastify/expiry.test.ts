import { AsyncResource } from 'node:async_hooks'
import { fastify } from 'fastify'
import { afterAll, describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { openDatabase, startShop } from '../support/cluster.ts'
import { listen, pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const cluster = await startShop(1)
const db = openDatabase(cluster)
const app = fastify()
await app.register(writePinning, { pinningSeconds: 1 })
app.all('/items', async (request) => {
  const items = await db.selectFrom('item').selectAll().execute()
  return { items, pin: request.writePin }
})
const agent = await listen(app)

afterAll(async () => {
  await app.close()
  await db.destroy()
  await cluster.stop()
})

describe('after pinningSeconds', () => {
  it('reads come from a replica again, even if the client kept the cookie', async () => {
    const user = agent()
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
    const later = fastify()
    await later.register(writePinning, { pinningSeconds: 1 })
    later.post('/', async () => {
      // What a timer or a socket of this request's would do, long after the answer.
      outliving.resolve(AsyncResource.bind(() => db.selectFrom('item').selectAll().execute()))
      return 'ok'
    })
    await (await listen(later))().post('/')
    const read = await outliving.promise
    expect(await whereAndWhy(read)).toEqual(['primary: write-request'])
    await expect.poll(() => whereAndWhy(read), { timeout: 3_000 }).toEqual(['replica: read'])
    await later.close()
  })
})

describe('request.writePin', () => {
  it('says whether, why and until when', async () => {
    const user = agent()
    expect((await user.get('/items')).json().pin).toEqual({ pinned: false })
    const written = (await user.post('/items')).json().pin
    expect(written).toMatchObject({ pinned: true, reason: 'method' })
    const read = (await user.get('/items')).json().pin
    expect(read).toMatchObject({ pinned: true, reason: 'cookie' })
    expect(Date.parse(read.until)).toBeGreaterThanOrEqual(Date.parse(written.until))
  })
})
