import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import {
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify'
import { describe, expect, it } from 'vitest'
import { type Pin, pinAccount, runWithPin } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { memoryPinStore, type PinStore } from 'write-pinning/stores'
import { UserAgent } from '../support/http.ts'
import { demandIn, positionOf, wroteTo } from '../support/positions.ts'
import { useShop } from '../support/shop.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const { cluster, listen } = useShop()

async function write() {
  await cluster.primary.query(`insert into item (name) values ('lamp')`)
  return positionOf(cluster.primary)
}

/** Who is logged in, as a hook of the application's finds out. */
const loggedIn = new WeakMap<FastifyRequest, string>()

async function serve(
  options: WritePinningOptions,
  routes: FastifyPluginAsync = async () => {},
): Promise<[(account?: string) => UserAgent, FastifyInstance]> {
  const app = fastify()
  await app.register(writePinning, {
    pin: 'exact',
    account: (request) => loggedIn.get(request),
    ...options,
  })
  app.addHook('preHandler', async (request) => {
    const account = request.headers['x-account']
    if (typeof account === 'string') loggedIn.set(request, account)
  })
  app.post('/items', async () => wroteTo('default', write()))
  app.post('/unseen', async () => 'done')
  app.get('/demand', async (request) => ({ kind: demandIn()?.kind, reason: request.writePin.reason }))
  await app.register(routes)
  const agent = await listen(app)
  return [(account) => new AccountAgent(agent().origin, account), app]
}

/** A device of somebody's: it has its own cookies. */
class AccountAgent extends UserAgent {
  readonly #headers: Record<string, string>

  constructor(origin: string, account: string | undefined) {
    super(origin)
    this.#headers = account === undefined ? {} : { 'x-account': account }
  }

  override request(method: string, path: string) {
    return super.request(method, path, { headers: this.#headers })
  }
}

const demandOf = async (user: UserAgent) => (await user.get('/demand')).json()

describe('the pin of an account', () => {
  it('is that of all its devices, and of no other account', async () => {
    const [agent] = await serve({ pinStore: memoryPinStore() })
    await agent('anna').post('/items')
    expect(await demandOf(agent('anna'))).toEqual({ kind: 'atLeast', reason: 'account' })
    expect(await demandOf(agent('ben'))).toEqual({ kind: 'any' })
    expect(await demandOf(agent())).toEqual({ kind: 'any' })
  })

  it('is a time pin where the write was not seen, and with time pins', async () => {
    const [agent] = await serve({ pinStore: memoryPinStore() })
    await agent('anna').post('/unseen')
    expect((await demandOf(agent('anna'))).kind).toBe('primary')
    const [other] = await serve({ pin: 'time', pinStore: memoryPinStore() })
    await other('anna').post('/items')
    expect((await demandOf(other('anna'))).kind).toBe('primary')
  })

  it('is there before the response is, and counts for writes after its headers too', async () => {
    const store = memoryPinStore()
    const [agent] = await serve({ pinStore: store }, async (app) => {
      app.get('/stream', async (_request, reply) => {
        reply.hijack()
        reply.raw.flushHeaders()
        wroteTo('default', write())
        await expect.poll(() => store.get('anna')).toBeDefined()
        reply.raw.end('done')
      })
    })
    expect((await agent('anna').get('/stream')).body).toBe('done')
    expect((await demandOf(agent('anna'))).kind).toBe('atLeast')
  })

  it.each(['GET', 'POST'])('counts for a write after a whole %s', async (method) => {
    const store = memoryPinStore()
    const [agent] = await serve({ pinStore: store, pinOn: 'write' }, async (app) => {
      app.route({
        method,
        url: '/visit',
        handler: async (_request, reply) => {
          void once(reply.raw, 'close').then(() => wroteTo('default', write()))
          return 'done'
        },
      })
    })
    await agent('anna').request(method, '/visit')
    await expect.poll(() => store.get('anna')).toMatchObject({ kind: 'exact' })
  })

  it.each(['GET', 'POST'])('counts for a %s that its client did not wait for', async (method) => {
    const store = memoryPinStore()
    const before = withResolvers<void>()
    const after = withResolvers<void>()
    const [agent] = await serve({ pinStore: store, pinOn: 'write' }, async (app) => {
      const goneAfter = (written: () => void) => async (_request: FastifyRequest, reply: FastifyReply) => {
        reply.hijack()
        written()
        if (!reply.raw.closed) await once(reply.raw, 'close')
      }
      app.route({
        method,
        url: '/before',
        handler: goneAfter(() => {
          wroteTo('default', write())
          before.resolve()
        }),
      })
      app.route({
        method,
        url: '/after',
        handler: async (request, reply) => {
          await goneAfter(after.resolve)(request, reply)
          wroteTo('default', write())
        },
      })
    })
    for (const [path, account, arrived] of [
      ['/before', 'anna', before],
      ['/after', 'ben', after],
    ] as const) {
      const url = new URL(path, agent().origin)
      const client = httpRequest(url, { method, headers: { 'x-account': account }, agent: false })
      client.on('error', () => {})
      client.end()
      await arrived.promise
      client.destroy()
      await expect.poll(() => store.get(account)).toMatchObject({ kind: 'exact' })
    }
  })

  it('holds what was written, and nothing that its client made up', async () => {
    const store = memoryPinStore()
    const [agent] = await serve({ pinStore: store })
    const user = agent('anna')
    await user.forge(`2.e${(Date.now() + 10_000).toString(36)}~ffffffffffffffff~1~1~stock`)
    await user.post('/items')
    expect([...((await store.get('anna')) as Pin & { kind: 'exact' }).clusters.keys()]).toEqual(['default'])
  })

  it('is found on routes that were defined before the plugin was registered', async () => {
    const store = memoryPinStore()
    await store.raise('anna', { kind: 'time', untilMs: Date.now() + 10_000 })
    const app = fastify()
    app.get('/demand', async () => demandIn())
    await app.register(writePinning, { pinStore: store, account: () => 'anna' })
    app.setNotFoundHandler(async () => demandIn())
    const user = (await listen(app))()
    for (const path of ['/demand', '/missing'])
      expect((await user.get(path)).json().kind, path).toBe('primary')
  })

  it('is raised for who is logged in when the response leaves', async () => {
    const store = memoryPinStore()
    let account = 'ben'
    const [agent] = await serve({ pinStore: store, account: () => account }, async (app) => {
      app.post('/login', async () => {
        wroteTo('default', write())
        account = 'anna'
      })
    })
    await agent().post('/login')
    expect([await store.get('ben'), (await store.get('anna'))?.kind]).toEqual([undefined, 'exact'])
  })

  it('that lasts longer than the pin of a response does not make that one worthless', async () => {
    const store = memoryPinStore()
    const [agent, app] = await serve({
      pinStore: store,
      secret: 'a secret of at least thirty-two characters',
    })
    await pinAccount('anna', { pinStore: store, pinningSeconds: 600 })
    const user = agent('anna')
    await user.post('/items')
    // The same browser, and nobody is logged in any more.
    const loggedOut = agent()
    await loggedOut.forge((await user.pin()) ?? '')
    expect(await demandOf(loggedOut)).toEqual({ kind: 'primary', reason: 'cookie' })
    expect(app.writePinning.counts.ignored['too-far-ahead']).toBe(0)
  })

  it('is not asked for by a skipped request', async () => {
    const store = memoryPinStore()
    const [agent] = await serve({ pinStore: store, skip: () => true })
    await agent('anna').post('/items')
    expect(await store.get('anna')).toBeUndefined()
  })
})

describe('a pin store that', () => {
  const failing: PinStore = {
    get: () => Promise.reject(new Error('redis://:password@host is down')),
    raise: () => Promise.reject(new Error('redis://:password@host is down')),
  }
  const throwing: PinStore = {
    get: () => {
      throw new Error('no')
    },
    raise: () => {
      throw new Error('no')
    },
  }
  const foreign: PinStore = {
    get: async () => ({ kind: 'exact', untilMs: Date.now() + 10_000, clusters: {} }) as never,
    raise: () => Promise.reject(new Error('no')),
  }
  const unwritable: PinStore = {
    get: async () => ({ kind: 'time', untilMs: Date.now() + 10_000.5 }),
    raise: () => Promise.reject(new Error('no')),
  }
  const never = withResolvers<never>().promise
  const hanging: PinStore = { get: () => never, raise: () => never }

  it.each([
    ['fails', failing],
    ['throws', throwing],
    ['gives what is no pin', foreign],
    ['gives what goes into no token', unwritable],
    ['never answers', hanging],
  ])('%s sends reads to the primary, and fails no request', async (_what, pinStore) => {
    const lines: string[] = []
    const app = fastify({ logger: { level: 'warn', stream: { write: (line) => void lines.push(line) } } })
    await app.register(writePinning, { pinStore, account: () => 'anna' })
    app.all('/demand', async () => demandIn())
    const user = (await listen(app))()
    const before = performance.now()
    expect((await user.get('/demand')).json()).toEqual({ kind: 'primary', reason: 'pin' })
    expect((await user.post('/demand')).status).toBe(200)
    expect(performance.now() - before).toBeLessThan(3_000)
    expect(app.writePinning.counts.storeFailures).toBe(3)
    expect(lines).toHaveLength(1)
    expect(lines.join()).not.toContain('password')
  })
})

describe('pinAccount()', () => {
  it('pins an account from the request of somebody else, by what that has written', async () => {
    const [agent] = await serve({ pinStore: memoryPinStore() }, async (app) => {
      app.post('/webhook', async () => {
        wroteTo('default', write())
        await pinAccount('anna')
      })
    })
    await agent().post('/webhook')
    expect((await demandOf(agent('anna'))).kind).toBe('atLeast')
    expect((await demandOf(agent('ben'))).kind).toBe('any')
  })

  it('pins by time where nobody saw a write, outside a request into the store that it is given', async () => {
    const pinStore = memoryPinStore()
    await pinAccount('anna', { pinStore, pinningSeconds: 60 })
    const pin = await pinStore.get('anna')
    expect(pin?.kind).toBe('time')
    expect(pin?.untilMs).toBeGreaterThan(Date.now() + 55_000)
    await runWithPin(undefined, () => pinAccount('ben'), { pinStore })
    expect(await pinStore.get('ben')).toMatchObject({ kind: 'time' })
  })

  it.each([
    ['no store', () => pinAccount('anna')],
    ['no account', () => pinAccount('', { pinStore: memoryPinStore() })],
    ['a number for an account', () => pinAccount(5 as never, { pinStore: memoryPinStore() })],
    ['a store that is none', () => pinAccount('anna', { pinStore: {} as never })],
    ['half a second', () => pinAccount('anna', { pinStore: memoryPinStore(), pinningSeconds: 0.5 })],
  ])('with %s is an error', async (_what, call) => {
    await expect(call()).rejects.toMatchObject({ code: 'ERR_WRITE_PINNING_OPTION' })
  })

  it('passes on what the store throws', async () => {
    const pinStore = { get: async () => undefined, raise: () => Promise.reject(new Error('down')) }
    await expect(pinAccount('anna', { pinStore })).rejects.toThrow('down')
  })
})
