import { fastify } from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { openDatabase, startShop } from '../support/cluster.ts'
import { listen, pinCookie } from '../support/http.ts'

const cluster = await startShop(1)
const db = openDatabase(cluster)
const app = fastify()
app.addHttpMethod('PROPFIND')
await app.register(writePinning)
app.all('/items', async () => db.selectFrom('item').selectAll().execute())
app.post('/add', async () => db.insertInto('item').values({ name: 'lamp' }).execute())
const agent = await listen(app)

afterAll(async () => {
  await app.close()
  await db.destroy()
  await cluster.stop()
})

describe('smoke', () => {
  it('a read after a write sees the write', async () => {
    await cluster.replicas[0]!.pauseReplay()
    const user = agent()
    const before = await user.get('/items')
    expect(await before.json()).toEqual([])
    expect(pinCookie(before)).toBeUndefined()
    const response = await user.post('/add')
    expect(pinCookie(response)).toMatch(/^write_pin=1t\w+; Max-Age=15; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(response.headers.get('cache-control')).toBe('private')
    expect(await (await user.get('/items')).json()).toHaveLength(1)
    expect(await (await agent().get('/items')).json()).toHaveLength(0)
    await cluster.replicas[0]!.resumeReplay()
  })
})
