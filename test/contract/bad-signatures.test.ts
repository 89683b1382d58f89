import { AsyncResource } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { capturePin, IGNORED_PIN_CHANNEL, PIN_CHANNEL, useReplica } from 'write-pinning'
import { memoryPinStore } from 'write-pinning/stores'
import type { UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { withResolvers } from '../support/with-resolvers.ts'
import { contract } from './contract.ts'
import type { Handler, Route, Served } from './framework.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { cluster, db, insert, read } = useLaggingShop()

// Two servers are two processes of one service, in the middle of a rolling deployment; a user agent's jar is for both.
contract((serve) => {
  const OLD = 'the secret of yesterday, of 32 characters'
  const NEW = 'the secret of today, also 32 characters'

  const start = (options: object, routes: Record<string, Handler | Route> = {}): Promise<Served> =>
    serve({
      options,
      routes: {
        'POST /items': async () => {
          await insert()
          return { body: 'done' }
        },
        'GET /items': async ({ writePin }) => ({ body: { items: await read(), writePin } }),
        ...routes,
      },
    })

  /** The same user agent at another process. */
  const at = (served: Served, path: string) => new URL(path, served.userAgent().origin).href

  /** How many items the user sees in a process, and where they were read. */
  async function visit(user: UserAgent, served: Served): Promise<[number, string[]]> {
    let items: unknown[] = []
    const routes = await whereAndWhy(async () => {
      const answer = await user.get(at(served, '/items'))
      expect(answer.setCookies).toEqual([])
      items = answer.json().items
    })
    return [items.length, routes]
  }

  /** Writes in the one process, and reads in the other. */
  async function writeAndRead(writer: Served, reader: Served): Promise<string[]> {
    const user = writer.userAgent()
    const before = await cluster.primary.query('select from item')
    await user.post('/items')
    const [items, routes] = await visit(user, reader)
    expect(items).toBe(before.length + 1)
    return routes
  }

  describe('while a secret is added', () => {
    it.each([{}, { pin: 'exact' }])(
      'every user sees their own writes, whichever process answers (%o)',
      async (options) => {
        const without = await start(options)
        const having = await start({ ...options, secret: NEW })
        expect(await writeAndRead(without, having)).toEqual(['primary: bad-signature'])
        expect(await writeAndRead(having, without)).toEqual(['primary: pin'])
        expect(await writeAndRead(having, having)).toEqual(['primary: pin'])
        expect(without.counts.ignored['bad-signature']).toBe(0)
      },
    )

    it('one warning says so, and what to do; each one is counted and published', async () => {
      const without = await start({})
      const having = await start({ secret: NEW })
      const user = without.userAgent()
      await user.post('/items')
      const published: unknown[] = []
      const onIgnored = (message: unknown) => published.push(message)
      subscribe(IGNORED_PIN_CHANNEL, onIgnored)
      for (let visits = 0; visits < 2; visits++) await visit(user, having)
      unsubscribe(IGNORED_PIN_CHANNEL, onIgnored)
      expect(published).toEqual([{ reason: 'bad-signature' }, { reason: 'bad-signature' }])
      expect(having.counts).toMatchObject({ honoured: 0, set: 0, ignored: { 'bad-signature': 2 } })
      expect(having.warnings).toEqual([expect.stringContaining('`secret: [new, old]`')])
    })

    it("`badSignature: 'ignore'` reads from a replica all the same, and warns of nothing", async () => {
      const without = await start({})
      const having = await start({ secret: NEW, badSignature: 'ignore' })
      const user = without.userAgent()
      await user.post('/items')
      expect(await visit(user, having)).toEqual([0, ['replica: read']])
      expect(having.counts.ignored['bad-signature']).toBe(1)
      expect(having.warnings).toEqual([])
    })

    it('a token in the header counts like the cookie', async () => {
      const without = await start({ header: 'x-pin' })
      const having = await start({ header: 'x-pin', secret: NEW })
      const token = (await without.userAgent().post('/items')).headers['x-pin']
      const routes = await whereAndWhy(async () => {
        const answer = await having.userAgent().get('/items', { headers: { 'x-pin': token } })
        expect(answer.json().items).toHaveLength(1)
      })
      expect(routes).toEqual(['primary: bad-signature'])
    })
  })

  describe('while a secret is rotated', () => {
    it.each([{}, { pin: 'exact' }])(
      'in three steps, every pin counts at every process (%o)',
      async (options) => {
        const steps = [OLD, [OLD, NEW], [NEW, OLD], NEW]
        const processes = []
        for (const secret of steps) processes.push(await start({ ...options, secret }))
        for (const [index, later] of processes.entries()) {
          const earlier = processes[index - 1]
          if (earlier === undefined) continue
          expect(await writeAndRead(earlier, later)).toEqual(['primary: pin'])
          expect(await writeAndRead(later, earlier)).toEqual(['primary: pin'])
          expect(later.counts.ignored['bad-signature']).toBe(0)
          expect(later.warnings).toEqual([])
        }
      },
    )

    it('in one step, every user sees their own writes all the same', async () => {
      const [before, after] = [await start({ secret: OLD }), await start({ secret: NEW })]
      expect(await writeAndRead(before, after)).toEqual(['primary: bad-signature'])
      expect(await writeAndRead(after, before)).toEqual(['primary: bad-signature'])
    })
  })

  describe('a pin whose signature is missing or wrong', () => {
    const forge = async (served: Served, seconds = 10): Promise<UserAgent> => {
      const user = served.userAgent()
      await user.forge(unsigned(seconds))
      return user
    }

    it('is no pin: nothing that is made of its request holds it', async () => {
      const pinStore = memoryPinStore()
      const served = await start(
        { secret: NEW, pin: 'exact', pinStore, account: () => 'anna' },
        {
          'GET /token': async () => ({ body: { token: await capturePin() } }),
          'GET /write': async () => {
            await db.insertInto('item').values({ name: 'chair' }).execute()
            await capturePin()
            return { body: 'done' }
          },
        },
      )
      const user = await forge(served)
      expect((await user.get('/token')).json()).toEqual({})
      expect(await pinStore.get('anna')).toBeUndefined()
      expect(served.counts.honoured).toBe(0)
      // What is written beside it has a pin of its own, and only that.
      await user.get('/write')
      expect(await user.pin()).toMatch(/^2[\w-]{3}\.e[^.]*\.[\w-]{43}$/)
      expect(await pinStore.get('anna')).toMatchObject({ kind: 'exact', primaryUntilMs: 0 })
    })

    it.each([
      ['pinned for as long as it says, where it sends reads to the primary', 'primary'],
      ['not pinned, where it is ignored', 'ignore'],
    ])('is told of in `request.writePin`: the request is %s', async (_what, badSignature) => {
      const served = await start({ secret: NEW, badSignature })
      const published: unknown[] = []
      const onPin = (message: unknown) => published.push(message)
      subscribe(PIN_CHANNEL, onPin)
      const untilMs = Date.now() + 10_000
      const headers = { cookie: `write_pin=1t${untilMs.toString(36)}` }
      const { writePin } = (await served.userAgent().get('/items', { headers })).json()
      unsubscribe(PIN_CHANNEL, onPin)
      expect(writePin).toEqual(
        badSignature === 'ignore'
          ? { pinned: false }
          : { pinned: true, reason: 'bad-signature', until: new Date(untilMs).toISOString() },
      )
      expect(published).toEqual([])
    })

    it('leaves the reason to what the request writes', async () => {
      const served = await start(
        { secret: NEW },
        { 'POST /pin': async ({ writePin }) => ({ body: writePin }) },
      )
      const user = await forge(served)
      const answer = await user.post('/pin')
      expect(answer.json()).toMatchObject({ pinned: true, reason: 'method' })
    })

    it('is weaker than what the code says, and weaker than nothing else', async () => {
      const served = await start(
        { secret: NEW },
        {
          'GET /stale': async () => ({ body: await useReplica(read) }),
          'GET /report': { marks: { readFrom: 'replica' }, handler: async () => ({ body: await read() }) },
        },
      )
      const user = await forge(served)
      expect(await whereAndWhy(() => user.get('/stale'))).toEqual(['replica: use-replica'])
      expect(await whereAndWhy(() => user.get('/report'))).toEqual(['replica: read-from'])
      expect(await whereAndWhy(() => user.get('/items'))).toEqual(['primary: bad-signature'])
    })

    it('binds a context that outlives its request until its own time is over', async () => {
      const outliving = withResolvers<() => Promise<unknown>>()
      const served = await start(
        { secret: NEW },
        {
          'GET /timer': async () => {
            outliving.resolve(AsyncResource.bind(read))
            return { body: 'done' }
          },
        },
      )
      const user = served.userAgent()
      const untilMs = Date.now() + 1_000
      await user.get('/timer', { headers: { cookie: `write_pin=1t${untilMs.toString(36)}` } })
      const readLater = await outliving.promise
      let routes: string[] = []
      while (!routes.includes('replica: read')) routes = await whereAndWhy(readLater)
      expect(Date.now()).toBeGreaterThanOrEqual(untilMs)
    })

    it.each(['primary', 'ignore'])(
      'does not push out an honest one, however many there are (badSignature: %s)',
      async (badSignature) => {
        const served = await start({ secret: [NEW, OLD], badSignature })
        const user = served.userAgent()
        await user.post('/items')
        const signed = `write_pin=${await user.pin()}`
        const forgers = [
          () => unsigned(14),
          (index: number) => `${unsigned(14 + index / 1_000)}.${'A'.repeat(43)}`,
          (index: number) => `2abc.c${unsigned(14 + index / 1_000).slice(2)}~default.${'A'.repeat(43)}`,
        ]
        for (const forger of forgers) {
          const forged = Array.from({ length: 150 }, (_, index) => `write_pin=${forger(index)}`)
          for (const cookies of [
            [...forged, signed],
            [signed, ...forged],
          ]) {
            const headers = { cookie: cookies.join('; ') }
            expect(await whereAndWhy(() => user.get('/items', { headers }))).toEqual(['primary: pin'])
          }
        }
      },
    )

    it.each(['primary', 'ignore'])(
      'may be one of more than are verified (badSignature: %s)',
      async (badSignature) => {
        const served = await start({ secret: NEW, badSignature, header: 'p' })
        const user = served.userAgent()
        await user.post('/items')
        const forged = Array.from(
          { length: 270 },
          (_, index) => `${unsigned(14 + index / 1_000)}.${'A'.repeat(43)}`,
        )
        const headers = { cookie: '', p: [...forged, await user.pin()].join() }
        expect(await whereAndWhy(() => user.get('/items', { headers }))).toEqual(['primary: bad-signature'])
        expect(served.counts.ignored['bad-signature']).toBe(1)
      },
    )

    it('is no reason to doubt where it is over, or malformed', async () => {
      const user = (await start({ secret: NEW })).userAgent()
      for (const token of [unsigned(-1), `${unsigned(10)}.abc`]) {
        const headers = { cookie: `write_pin=${token}` }
        expect(await whereAndWhy(() => user.get('/items', { headers })), token).toEqual(['replica: read'])
      }
    })

    it('takes nothing from a valid one beside it', async () => {
      const served = await start({ secret: NEW })
      const user = served.userAgent()
      await user.post('/items')
      const headers = { cookie: `write_pin=${unsigned(10)}; write_pin=${await user.pin()}` }
      const answer = await user.get('/items', { headers })
      expect(answer.json().writePin).toMatchObject({ pinned: true, reason: 'cookie' })
      expect(await whereAndWhy(() => user.get('/items', { headers }))).toEqual(['primary: pin'])
    })
  })

  describe('without a secret', () => {
    it('every one of many unsigned pins counts, and none is in doubt', async () => {
      const served = await start({})
      const cookie = Array.from({ length: 20 }, (_, index) => `write_pin=${unsigned(10 + index)}`).join('; ')
      const user = served.userAgent()
      expect(await whereAndWhy(() => user.get('/items', { headers: { cookie } }))).toEqual(['primary: pin'])
      expect(served.counts.ignored['bad-signature']).toBe(0)
    })
  })

  function unsigned(secondsFromNow: number): string {
    return `1t${Math.round(Date.now() + secondsFromNow * 1000).toString(36)}`
  }
})
