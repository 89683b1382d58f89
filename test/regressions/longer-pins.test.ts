import { describe, expect, it } from 'vitest'
import { capturePin, pinAccount } from 'write-pinning'
import { memoryPinStore } from 'write-pinning/stores'
import { contract } from '../contract/contract.ts'
import type { Served } from '../contract/framework.ts'
import { useLaggingShop } from '../contract/lagging-shop.ts'
import { type Answer, pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'

// Processes, and parts of one application, differ in how long a pin lasts: an operator raises `pinningSeconds` in an incident, one
// deployment after the other.
const { insert, read } = useLaggingShop()
const SECRET = 'a secret of at least thirty-two characters'
const SIGNED = { secret: SECRET }
const NAME = { name: 'write_pin' }

contract((serve) => {
  const start = (pinningSeconds: number, options: object = {}): Promise<Served> =>
    serve({
      options: { pinningSeconds, cookie: NAME, ...options },
      routes: {
        'POST /items': async () => {
          await insert()
          return { body: 'done' }
        },
        'GET /items': async ({ writePin }) => ({ body: { count: (await read()).length, writePin } }),
        'POST /token': async () => {
          await insert()
          return { body: { token: await capturePin({ seconds: 3_600 }) } }
        },
      },
    })

  /** The same user agent at another process. */
  const at = (served: Served, path = '/items') => new URL(path, served.userAgent().origin).href

  /** Waits until what was written at a process a moment ago is pinned no more. */
  async function shortPinIsOver(short: Served): Promise<void> {
    const other = short.userAgent()
    await other.post('/items')
    const headers = { cookie: `${NAME.name}=${await other.pin()}` }
    const isOver = async () => (await whereAndWhy(() => other.get('/items', { headers }))).join()
    await expect.poll(isOver, { timeout: 5_000 }).toBe('replica: read')
  }

  describe.each([
    ['a signed time pin', { pin: 'time', ...SIGNED }],
    ['a signed exact pin', { pin: 'exact', ...SIGNED }],
    ['an unsigned time pin', { pin: 'time' }],
    ['an unsigned exact pin', { pin: 'exact' }],
  ])('%s', (_kind, options) => {
    it('of a process whose pins last longer counts where they last less long', async () => {
      const [long, usual] = [await start(3_600, options), await start(15, options)]
      const user = long.userAgent()
      await user.post('/items')
      expect((await user.get(at(usual))).json()).toMatchObject({ count: 1, writePin: { pinned: true } })
    })

    it('is not cut short where the request writes once more', async () => {
      const [long, short] = [await start(60, options), await start(1, options)]
      const user = long.userAgent()
      await user.post('/items')
      const answer = await user.post(at(short))
      expect(maxAge(answer)).toBeGreaterThan(55)
      await shortPinIsOver(short)
      expect((await user.get(at(long))).json().count).toBeGreaterThanOrEqual(2)
      expect((await user.get(at(short))).json().count).toBeGreaterThanOrEqual(2)
    })
  })

  it('a signed pin lasts as long as it says, and never longer than a day', async () => {
    const [day, usual] = [await start(86_400, SIGNED), await start(15, SIGNED)]
    const user = day.userAgent()
    await user.post('/items')
    const before = Date.now()
    const { until } = (await user.get(at(usual))).json().writePin
    expect(Date.parse(until)).toBeGreaterThan(before + 86_000_000)
    expect(usual.counts.ignored['too-far-ahead']).toBe(0)
  })

  it('an unsigned pin that is too far ahead is cut to what a write is worth, and counted', async () => {
    const usual = await start(15)
    for (const untilMs of [Date.now() + 46_000, Date.now() + 1e10, 1e17]) {
      const headers = { cookie: `write_pin=1t${untilMs.toString(36)}` }
      const answer = await usual.userAgent().get('/items', { headers })
      const untilOf = Date.parse(answer.json().writePin.until)
      expect(untilOf).toBeLessThanOrEqual(Date.now() + 15_000)
      expect(untilOf).toBeGreaterThan(Date.now() + 10_000)
    }
    expect(usual.counts.ignored['too-far-ahead']).toBe(3)
  })

  it('a token of capturePin() that lasts for an hour counts in the header', async () => {
    const served = await start(15, { ...SIGNED, header: 'x-pin' })
    const { token } = (await served.userAgent().post('/token')).json()
    const answer = await served.userAgent().get('/items', { headers: { 'x-pin': token } })
    expect(answer.json()).toMatchObject({ count: 1, writePin: { pinned: true, reason: 'header' } })
  })

  it('a doubtful pin that is far ahead is in doubt for no longer than a write is pinned', async () => {
    const served = await start(1, SIGNED)
    const forged = `1t${(Date.now() + 1e9).toString(36)}`
    const user = served.userAgent()
    expect(
      await whereAndWhy(() => user.get('/items', { headers: { cookie: `write_pin=${forged}` } })),
    ).toEqual(['primary: bad-signature'])
  })

  it('the pin of an account is worth a day at most, and is not cut short by a request', async () => {
    const pinStore = memoryPinStore()
    const accounts = { pinStore, account: () => 'anna', ...SIGNED }
    const served = await start(15, accounts)
    await pinAccount('anna', { pinStore, pinningSeconds: 600 })
    const user = served.userAgent()
    expect(maxAge(await user.post('/items'))).toBeGreaterThan(590)
    await pinStore.raise('anna', { kind: 'time', untilMs: Number.MAX_SAFE_INTEGER })
    const answer = await user.post('/items')
    expect(maxAge(answer)).toBeLessThanOrEqual(86_400)
    const { until } = (await user.get('/items')).json().writePin
    expect(Date.parse(until)).toBeLessThanOrEqual(Date.now() + 86_400_000)
  })
})

function maxAge(answer: Answer): number {
  return Number(/Max-Age=(\d+)/.exec(pinCookie(answer) ?? '')?.[1])
}
