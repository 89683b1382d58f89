import { once } from 'node:events'
import { type FastifyInstance, type FastifyPluginAsync, fastify } from 'fastify'
import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import { pinAccount, runWithPin } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { type PinStore, redisPinStore } from 'write-pinning/stores'
import { FailingStore } from '../support/failing-store.ts'
import type { UserAgent } from '../support/http.ts'
import { hasRedisServer, startRedisServer } from '../support/redis-server.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const { db, listen } = useShop()

const insert = async () => void (await db.insertInto('item').values({ name: 'lamp' }).execute())
const read = () => db.selectFrom('item').select('id').execute()
const eventually = <T>(fn: () => T) => expect.poll(fn, { timeout: 10_000 })

interface Service {
  readonly app: FastifyInstance
  readonly lines: string[]
  agent(): UserAgent
}

/** A service where everybody is anna; each agent is a device of hers. */
async function serve(pinStore: PinStore, routes: FastifyPluginAsync = async () => {}): Promise<Service> {
  const lines: string[] = []
  const stream = { write: (line: string) => void lines.push(JSON.parse(line).msg) }
  const app = fastify({ logger: { level: 'warn', stream }, forceCloseConnections: true })
  await app.register(writePinning, { pinStore, account: () => 'anna' })
  app.post('/items', async () => (await insert()) ?? 'done')
  app.get('/items', read)
  await app.register(routes)
  const agent = await listen(app)
  return { app, lines, agent }
}

const routeOf = (user: UserAgent) => whereAndWhy(() => user.get('/items'))

describe('the pin of an account that its store did not take', () => {
  it.each(['refuses', 'hangs'] as const)(
    'is there for the other devices when the store, that %s, takes pins again',
    async (mode) => {
      const store = new FailingStore()
      const { app, lines, agent } = await serve(store)
      store.mode = mode
      await agent().post('/items')
      expect(await store.get('anna')).toBeUndefined()
      store.mode = 'takes'
      await eventually(() => store.get('anna')).toMatchObject({ kind: 'time' })
      expect(await routeOf(agent())).toEqual(['primary: pin'])
      expect(app.writePinning.counts).toMatchObject({ storeFailures: 1, storeLosses: 0 })
      expect(lines.join()).not.toContain('password')
    },
  )

  it('is known to the other requests of its own process at once', async () => {
    const store = new FailingStore()
    const { agent } = await serve(store)
    store.mode = 'refuses'
    await agent().post('/items')
    expect(await routeOf(agent())).toEqual(['primary: pin'])
  })

  it.each([
    [
      'a write after the response',
      async (app: FastifyInstance, done: () => void) => {
        app.get('/late', async (_request, reply) => {
          void once(reply.raw, 'close').then(insert).then(done)
          return 'done'
        })
      },
    ],
    [
      'a write in a stream',
      async (app: FastifyInstance, done: () => void) => {
        app.get('/late', async (_request, reply) => {
          reply.hijack()
          reply.raw.flushHeaders()
          await insert()
          reply.raw.end('done')
          done()
        })
      },
    ],
    [
      'pinAccount(), which tells its caller',
      async (app: FastifyInstance, done: () => void) => {
        app.get('/late', async () => {
          await expect(pinAccount('anna')).rejects.toThrow('down')
          done()
        })
      },
    ],
  ])('is raised later, too, after %s', async (_what, route) => {
    const store = new FailingStore()
    const written = withResolvers<void>()
    const { agent } = await serve(store, (app) => route(app, written.resolve))
    store.mode = 'refuses'
    await agent().get('/late')
    await written.promise
    await eventually(() => store.raised.length).toBeGreaterThan(0)
    store.mode = 'takes'
    await eventually(() => store.get('anna')).toBeDefined()
  })

  it.each([
    ['outside any request', (pinStore: PinStore) => pinAccount('anna', { pinStore })],
    [
      'in runWithPin()',
      (pinStore: PinStore) => runWithPin(undefined, () => pinAccount('anna'), { pinStore }),
    ],
  ])('of pinAccount() %s is raised later, and its caller is told', async (_where, pin) => {
    const store = new FailingStore()
    store.mode = 'refuses'
    await expect(pin(store)).rejects.toThrow('down')
    store.mode = 'takes'
    await eventually(() => store.get('anna')).toBeDefined()
  })

  it('does not hold up app.close(), which tries it once more', async () => {
    const [taking, hanging] = [new FailingStore(), new FailingStore()]
    for (const store of [taking, hanging]) {
      const { app, agent, lines } = await serve(store)
      store.mode = 'hangs'
      await agent().post('/items')
      if (store === taking) store.mode = 'takes'
      await app.close()
      expect(app.writePinning.counts.storeLosses).toBe(store === taking ? 0 : 1)
      expect(lines.filter((line) => line.includes('application closed'))).toHaveLength(
        store === taking ? 0 : 1,
      )
    }
    expect(await taking.get('anna')).toBeDefined()
    expect(await hanging.get('anna')).toBeUndefined()
  })

  it('does not keep the process alive', async () => {
    const store = new FailingStore()
    store.mode = 'refuses'
    const before = process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    await expect(pinAccount('anna', { pinStore: store })).rejects.toThrow('down')
    const after = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    await eventually(after).toBeLessThanOrEqual(before)
    store.mode = 'takes'
    await eventually(() => store.get('anna')).toBeDefined()
  })
})

describe.skipIf(!hasRedisServer())('on a Redis that takes no writes for a while, as in a failover', () => {
  it('a pin is raised when it does again, and the outage is told once, and its end', async () => {
    const server = await startRedisServer()
    const redis = await createClient({ url: server.url })
      .on('error', () => {})
      .connect()
    try {
      const { app, lines, agent } = await serve(redisPinStore(redis))
      await redis.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
      for (let i = 0; i < 3; i++) expect(await agent().post('/items')).toMatchObject({ status: 200 })
      expect(lines).toEqual([expect.stringContaining('fails or does not answer')])
      await redis.sendCommand(['REPLICAOF', 'NO', 'ONE'])
      await eventually(() => redis.hGetAll('write-pinning:anna')).toMatchObject({ t: expect.any(String) })
      expect(app.writePinning.counts).toMatchObject({ storeFailures: 3, storeLosses: 0 })
      await eventually(() => lines.length).toBe(2)
      expect(lines[1]).toContain('answers again')
    } finally {
      redis.destroy()
      await server.stop()
    }
  })
})
