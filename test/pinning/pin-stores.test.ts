import { Redis } from 'ioredis'
import { createClient, RESP_TYPES } from 'redis'
import { createClient as createClient4 } from 'redis-4'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it, vi } from 'vitest'
import type { Pin } from 'write-pinning'
import { memoryPinStore, type PinStore, redisPinStore } from 'write-pinning/stores'
import { requirementOfPin } from '../../src/freshness/pin.ts'
import { hasRedisServer, startRedisServer } from '../support/redis-server.ts'
import { isAsStrong, RandomPins } from './pins.ts'

const POSITION = { systemId: '7300000000000000001', timeline: 1, lsn: 0x16_b374_d848n }
const soon = () => Date.now() + 10_000
const exact = (untilMs = soon(), position = POSITION): Pin => ({
  kind: 'exact',
  untilMs,
  primaryUntilMs: 0,
  clusters: new Map([['default', { primaryUntilMs: 0, exact: { position, untilMs } }]]),
})

/** What every store of pins must do. */
function contract(store: () => PinStore): void {
  let accounts = 0
  const account = () => `account-${++accounts}`

  it('gives nothing for an account that has no pin', async () => {
    expect(await store().get(account())).toBeUndefined()
  })

  it('gives back what it was raised to, for that account only', async () => {
    const id = account()
    const pin = exact()
    await store().raise(id, pin)
    expect(await store().get(id)).toEqual(pin)
    expect(await store().get(`${id}x`)).toBeUndefined()
  })

  it('takes any text for an account', async () => {
    const untilMs = soon()
    for (const id of ['é😀', 'a b:c*\r\n', '__proto__', 'x'.repeat(1_000)]) {
      await store().raise(id, { kind: 'time', untilMs })
      expect(await store().get(id), id).toEqual({ kind: 'time', untilMs })
    }
  })

  it('never lowers a pin, in whatever order it is raised', async () => {
    const [earlier, later] = [soon(), soon() + 1_000]
    const further = { ...POSITION, lsn: POSITION.lsn + 1n }
    for (const pins of [
      [exact(earlier, further), exact(later)],
      [exact(later), exact(earlier, further)],
    ]) {
      const id = account()
      for (const pin of pins) await store().raise(id, pin)
      expect(await store().get(id)).toEqual(exact(later, further))
    }
  })

  it('demands all that each demands to which it was raised, and nothing else, also at the same time', async () => {
    const startMs = Date.now() + 60_000
    const pins = new RandomPins(5, startMs, 60_000)
    const wrong: object[] = []
    for (let round = 0; round < 200; round++) {
      const id = account()
      const raised = Array.from({ length: 6 }, () => pins.pin(['default', 'stock']))
      await Promise.all(raised.map((pin) => store().raise(id, pin)))
      const pin = (await store().get(id)) as Pin
      for (const cluster of ['default', 'stock', 'none']) {
        for (let nowMs = startMs; nowMs <= startMs + 60_000; nowMs += 1_000) {
          const demand = requirementOfPin(pin, cluster, nowMs)
          const demands = raised.map((each) => requirementOfPin(each, cluster, nowMs))
          const isEnough = demands.every((each) => isAsStrong(demand, each))
          const isTooMuch = demand !== undefined && demands.every((each) => each === undefined)
          if (!isEnough || isTooMuch) wrong.push({ cluster, nowMs, demand, demands })
        }
      }
    }
    expect(wrong).toEqual([])
  })

  it('forgets what is over', async () => {
    const id = account()
    await store().raise(id, { kind: 'time', untilMs: Date.now() - 1 })
    expect(await store().get(id)).toBeUndefined()
    await store().raise(id, exact(Date.now() + 50))
    await expect.poll(() => store().get(id)).toBeUndefined()
  })
}

describe('a store of pins in memory', () => {
  const store = memoryPinStore()
  contract(() => store)

  it('that is full pins everybody, as long as those who were left out were pinned', async () => {
    vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] })
    try {
      const small = memoryPinStore({ maxAccounts: 2 })
      const untilMs = soon()
      for (const [index, id] of ['anna', 'ben', 'carla'].entries()) {
        await small.raise(id, { kind: 'time', untilMs: untilMs + index })
      }
      expect(await small.get('anna')).toEqual({ kind: 'time', untilMs })
      expect(await small.get('carla')).toEqual({ kind: 'time', untilMs: untilMs + 2 })
      expect(await small.get('nobody')).toEqual({ kind: 'time', untilMs })
      vi.setSystemTime(untilMs)
      expect(await small.get('nobody')).toBeUndefined()
      expect(await small.get('ben')).toEqual({ kind: 'time', untilMs: untilMs + 1 })
    } finally {
      vi.useRealTimers()
    }
  })

  it.each([{ maxAccounts: 0 }, { maxAccounts: '5' }, { max: 5 }])('refuses %j', (options) => {
    expect(() => memoryPinStore(options as never)).toThrow(/memoryPinStore\(\)/)
  })
})

const server = hasRedisServer() ? await startRedisServer() : undefined

describe.skipIf(server === undefined)('a store of pins on Redis', () => {
  const url = server?.url ?? 'redis://127.0.0.1'
  const ioredis = new Redis(url, { lazyConnect: true })
  const redis = createClient({ url })
  const redis4 = createClient4({ url })

  beforeAll(async () => {
    for (const client of [redis, redis4]) await client.connect()
  })

  afterAll(async () => {
    for (const client of [ioredis, redis, redis4]) await client.quit()
    await server?.stop()
  })

  describe('with a client of `ioredis`', () => {
    const store = redisPinStore(ioredis, { prefix: 'a:' })
    contract(() => store)
  })

  describe('with a client of `redis`', () => {
    const store = redisPinStore(redis, { prefix: 'b:' })
    contract(() => store)

    it('lets its keys go when they are over, and not before', async () => {
      const untilMs = soon()
      await store.raise('kept', exact(untilMs + 5_000))
      await store.raise('kept', exact(untilMs))
      const expiry = await redis.pExpireTime('b:kept')
      expect(expiry).toBe(untilMs + 5_000 + 60_000)
    })

    it('says when another program wrote there', async () => {
      await redis.hSet('b:foreign', 'name', 'anna')
      await redis.set('b:text', 'anna')
      await expect(store.get('foreign')).rejects.toThrow('none of a pin')
      await expect(store.get('text')).rejects.toThrow('WRONGTYPE')
    })
  })

  describe('with a client of `redis` 4', () => {
    const store = redisPinStore(redis4, { prefix: 'c:' })
    contract(() => store)
  })

  it('is the same for a client that gives hashes as maps', async () => {
    const pin = exact()
    const store = redisPinStore(redis.withTypeMapping({ [RESP_TYPES.MAP]: Map }))
    await store.raise('maps', pin)
    expect(await store.get('maps')).toEqual(pin)
  })

  it('is the same for either client', async () => {
    const pin = exact()
    await redisPinStore(ioredis).raise('anna', pin)
    expect(await redisPinStore(redis).get('anna')).toEqual(pin)
  })

  it.each<[string, unknown, object]>([
    ['no client', undefined, {}],
    ['a URL', 'redis://127.0.0.1', {}],
    ['an object that is no client', { eval: 5 }, {}],
    ['an option that does not exist', ioredis, { ttl: 5 }],
    ['a prefix that is no text', ioredis, { prefix: 5 }],
  ])('refuses %s', (_what, client, options) => {
    expect(() => redisPinStore(client as Redis, options)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/OPTION$/) }),
    )
  })

  it('takes the clients as their packages type them', () => {
    expectTypeOf(redisPinStore).toBeCallableWith(ioredis)
    expectTypeOf(redisPinStore).toBeCallableWith(redis)
    expectTypeOf(redisPinStore).toBeCallableWith(redis4)
    // @ts-expect-error a client, not its address
    expectTypeOf(redisPinStore).toBeCallableWith('redis://127.0.0.1')
  })
})
