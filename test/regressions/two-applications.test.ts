import { describe, expect, it } from 'vitest'
import { contract } from '../contract/contract.ts'
import type { Served } from '../contract/framework.ts'
import { useLaggingShop } from '../contract/lagging-shop.ts'
import type { UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'

// A browser's jar knows a host, and no application: two that have one each, with secrets of their own, must not overwrite each
// other's cookie.
const { cluster, insert, read } = useLaggingShop()
const ONE = 'the secret of one application, of 32 characters'
const OTHER = 'the secret of another application, of 32 too'
const [OLD, NEW] = [ONE, OTHER]

contract((serve) => {
  const start = (options: object): Promise<Served> =>
    serve({
      options,
      routes: {
        'POST /items': async () => {
          await insert()
          return { body: 'done' }
        },
        'GET /items': async () => ({ body: await read() }),
      },
    })

  const at = (served: Served) => new URL('/items', served.userAgent().origin).href

  /** Whether a user agent sees all that was written, and where that was read. */
  async function visit(user: UserAgent, served: Served): Promise<string> {
    const written = await cluster.primary.query('select from item')
    let items = 0
    const routes = await whereAndWhy(async () => {
      items = (await user.get(at(served))).json().length
    })
    return items === written.length ? routes.join() : `misses a write (${routes.join()})`
  }

  describe('two applications on one host, with a secret each', () => {
    it.each(['time', 'exact'])('lose no write of their users (pin: %s)', async (pin) => {
      for (const badSignature of ['primary', 'ignore']) {
        const one = await start({ pin, secret: ONE, badSignature })
        const other = await start({ pin, secret: OTHER, badSignature })
        const user = one.userAgent()
        await user.post('/items')
        await user.post(at(other))
        expect(await user.pinNames()).toHaveLength(2)
        for (const served of [one, other]) expect(await visit(user, served)).toMatch(/^primary: /)
      }
    })

    it("take the other's pin for one in doubt, unless they ignore such", async () => {
      const [one, other] = [await start({ secret: ONE }), await start({ secret: OTHER })]
      const ignoring = await start({ secret: OTHER, badSignature: 'ignore' })
      const user = one.userAgent()
      await user.post('/items')
      expect(await visit(user, other)).toBe('primary: bad-signature')
      expect(await visit(user, ignoring)).toBe('misses a write (replica: read)')
      expect(other.counts.ignored['bad-signature']).toBe(1)
    })

    it('verify nothing under a name that is that of another key', async () => {
      const served = await start({ secret: ONE, badSignature: 'ignore' })
      const user = served.userAgent()
      await user.post('/items')
      const token = await user.pin()
      const [name] = await user.pinNames()
      const routeWith = (cookie: string) => whereAndWhy(() => user.get('/items', { headers: { cookie } }))
      expect(await routeWith(`${name}=${token}`)).toEqual(['primary: pin'])
      expect(await routeWith(`write_pin=${token}`)).toEqual(['primary: pin'])
      for (const other of [
        'write_pin_abc',
        `${name}x`,
        `x${name}`,
        'write_pin_',
        'write_pin_ab',
        'WRITE_PIN',
      ]) {
        expect(await routeWith(`${other}=${token}`), other).toEqual(['replica: read'])
      }
    })
  })

  describe('the name of the cookie', () => {
    it('is that of the first key where there is a secret, whatever the secret is', async () => {
      for (let number = 0; number < 40; number++) {
        const user = (await start({ secret: `${ONE} ${number}` })).userAgent()
        await user.post('/items')
        expect(await user.pinNames()).toEqual([expect.stringMatching(/^write_pin_[\w-]{3}$/)])
        expect((await user.get('/items')).status).toBe(200)
      }
    })

    it.each([
      ['without a secret', {}, 'write_pin'],
      ['that was given', { secret: ONE, cookie: { name: 'my_pin' } }, 'my_pin'],
      ['that was given as the usual one', { secret: ONE, cookie: { name: 'write_pin' } }, 'write_pin'],
      [
        'that was not given, beside an option that was',
        { secret: ONE, cookie: { path: '/' } },
        /^write_pin_...$/,
      ],
    ])('%s is as it should be', async (_what, options, name) => {
      const served = await start(options)
      const answer = await served.userAgent().post('/items')
      const names = answer.setCookies.map((each) => each.split('=')[0])
      expect(names).toEqual([typeof name === 'string' ? name : expect.stringMatching(name)])
    })

    it('that was given is read as it was given, and no other', async () => {
      const [named, usual] = [
        await start({ secret: ONE, cookie: { name: 'my_pin' } }),
        await start({ secret: ONE }),
      ]
      const user = usual.userAgent()
      await user.post('/items')
      expect(await visit(user, named)).toBe('misses a write (replica: read)')
      expect(named.counts.ignored['bad-signature']).toBe(0)
    })
  })

  describe('a rolling deployment', () => {
    /** Every process answers users of every process, whatever was deployed where. */
    async function expectNothingLost(steps: object[], expected: RegExp): Promise<void> {
      const processes = []
      for (const step of steps) processes.push(await start(step))
      for (const writer of processes) {
        for (const second of processes) {
          for (const reader of processes) {
            const user = writer.userAgent()
            await user.post('/items')
            await user.post(at(second))
            expect(await visit(user, reader)).toMatch(expected)
          }
        }
      }
    }

    it.each(['time', 'exact'])(
      'that rotates a secret loses no write, at any mix of its steps (pin: %s)',
      async (pin) => {
        const steps = [OLD, [OLD, NEW], [NEW, OLD], NEW].map((secret) => ({ pin, secret }))
        await expectNothingLost(steps, /^primary/)
        for (const two of [steps.slice(0, 2), steps.slice(1, 3), steps.slice(2)]) {
          await expectNothingLost(two, /^primary: pin$/)
        }
      },
    )

    it.each(['time', 'exact'])('that adds a secret loses no write (pin: %s)', async (pin) => {
      await expectNothingLost([{ pin }, { pin, secret: NEW }], /^primary/)
    })

    it('that gives up the usual name as it was given loses no write', async () => {
      await expectNothingLost(
        [{ secret: ONE, cookie: { name: 'write_pin' } }, { secret: ONE }],
        /^primary: pin$/,
      )
    })
  })
})
