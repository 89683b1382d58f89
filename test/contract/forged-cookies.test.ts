import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { contract } from './contract.ts'
import type { Served } from './framework.ts'

const { read } = useShop()
const OLD_SECRET = 'the secret of yesterday, of 32 characters'
const NEW_SECRET = 'the secret of today, also 32 characters'

contract((serve) => {
  const shop = (options: object = {}): Promise<Served> =>
    serve({
      options: { pinningSeconds: 15, ...options },
      routes: {
        'ALL /items': async () => ({ body: await read() }),
        'GET /pin': async ({ writePin }) => ({ body: writePin }),
      },
    })
  const userOf = async (options: object = {}) => (await shop(options)).userAgent()

  describe('a cookie that is worth nothing', () => {
    const worthless: [string, () => string][] = [
      ['empty', () => ''],
      ['1', () => '1'],
      ['a word', () => 'true'],
      ['expired', () => token(-1)],
      ['longer than any number', () => '1tzzzzzzzzzzzz'],
      ['of a later version', () => token(10).replace('1t', '2t')],
      ['quoted', () => `"${token(10)}"`],
      ['in upper case', () => token(10).toUpperCase()],
      ['with a signature that is too short', () => `${token(10)}.abc`],
      ['with something behind it', () => `${token(10)}x!`],
      ['of 8 KB', () => 'a'.repeat(8_192)],
      ['of 8 KB of percent signs', () => '%'.repeat(8_192)],
      ['with bytes that are no text', () => '\u00ff\u00fe'],
    ]

    it.each(worthless)('%s is ignored, never an error', async (_kind, value) => {
      const user = await userOf()
      expect(await routeWith(user, `write_pin=${value()}`)).toEqual(['replica: read'])
    })

    it('is counted by what was wrong with it', async () => {
      const values = ['x', token(-1), token(60), token(10)]
      const ignored = async (options: object) => {
        const { counts, userAgent } = await shop(options)
        const user = userAgent()
        for (const value of values) await routeWith(user, `write_pin=${value}`)
        return counts.ignored
      }
      const always = { malformed: 1, expired: 1 }
      expect(await ignored({})).toEqual({ ...always, 'too-far-ahead': 1, 'bad-signature': 0 })
      expect(await ignored({ secret: NEW_SECRET })).toEqual({
        ...always,
        'too-far-ahead': 0,
        'bad-signature': 2,
      })
    })

    it.each([
      ['far in the future', () => token(15 + 31)],
      ['of the last day that is', () => '1tzzzzzzzzzzz'],
    ])('%s is worth no more than a write', async (_kind, value) => {
      const user = await userOf()
      const pin = await pinWith(user, `write_pin=${value()}`)
      expect(Date.parse(pin.until)).toBeLessThanOrEqual(Date.now() + 15_000)
    })

    it('is one whose name only ends, or begins, like ours', async () => {
      const user = await userOf()
      expect(await routeWith(user, `xwrite_pin=${token(10)}; write_pinx=${token(10)}`)).toEqual([
        'replica: read',
      ])
    })
  })

  describe('a cookie that comes more than once', () => {
    it.each([
      ['first', () => `write_pin=${token(10)}; write_pin=x; write_pin=${token(-1)}`],
      ['last', () => `write_pin=x; other=1; write_pin=${token(60)}; write_pin=${token(10)}`],
    ])('counts by its strongest valid copy, be it the %s', async (_where, cookie) => {
      const user = await userOf()
      expect(await routeWith(user, cookie())).toEqual(['primary: pin'])
    })
  })

  describe('with a secret', () => {
    it('a pin that the server signed counts', async () => {
      const user = await userOf({ secret: NEW_SECRET })
      await user.post('/items')
      expect(await user.pin()).toMatch(/^1t[0-9a-z]+\.[\w-]{43}$/)
      expect(await whereAndWhy(() => user.get('/items'))).toEqual(['primary: pin'])
    })

    it.each([
      ['primary', 'primary: bad-signature'],
      ['ignore', 'replica: read'],
    ])(
      'a tampered, an unsigned and a truncated pin are no pins (badSignature: %s)',
      async (badSignature, route) => {
        const user = await userOf({ secret: NEW_SECRET, badSignature })
        await user.post('/items')
        const [claim, signature = ''] = ((await user.pin()) as string).split('.')
        const flipped = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
        for (const forged of [`${token(14)}.${signature}`, `${claim}.${flipped}`, claim]) {
          expect(await routeWith(user, `write_pin=${forged}`), forged).toEqual([route])
        }
        expect(await routeWith(user, `write_pin=${claim}.${signature.slice(1)}`)).toEqual(['replica: read'])
      },
    )

    it('a pin that was signed with the previous secret counts, and a new one is signed with the first', async () => {
      const before = await userOf({ secret: OLD_SECRET })
      await before.post('/items')
      const old = `write_pin=${await before.pin()}`
      const rotated = await userOf({ secret: [NEW_SECRET, OLD_SECRET] })
      expect(await routeWith(rotated, old)).toEqual(['primary: pin'])
      await rotated.post('/items')
      const after = await userOf({ secret: NEW_SECRET })
      expect(await routeWith(after, `write_pin=${await rotated.pin()}`)).toEqual(['primary: pin'])
      expect(await routeWith(after, old)).toEqual(['primary: bad-signature'])
    })

    it('a pin that was signed for a cookie of another name is no pin', async () => {
      const other = await userOf({ secret: NEW_SECRET, cookie: { name: 'other_pin' } })
      await other.post('/items')
      const user = await userOf({ secret: NEW_SECRET })
      expect(await routeWith(user, `write_pin=${await other.pin('other_pin')}`)).toEqual([
        'primary: bad-signature',
      ])
    })

    it('a value that was signed by the same secret for another purpose is no pin', async () => {
      const user = await userOf({ secret: NEW_SECRET })
      const claim = token(10)
      const signature = createHmac('sha256', NEW_SECRET).update(claim).digest('base64url')
      expect(await routeWith(user, `write_pin=${claim}.${signature}`)).toEqual(['primary: bad-signature'])
    })
  })

  describe('without a secret any more', () => {
    it('a pin that was signed before still counts', async () => {
      const before = await userOf({ secret: OLD_SECRET })
      await before.post('/items')
      const user = await userOf()
      expect(await routeWith(user, `write_pin=${await before.pin()}`)).toEqual(['primary: pin'])
    })
  })
})

function token(secondsFromNow: number): string {
  return `1t${(Date.now() + secondsFromNow * 1000).toString(36)}`
}

/** The pin of a request with this `Cookie` header, as its handler is told. */
async function pinWith(user: UserAgent, cookie: string): Promise<{ pinned: boolean; until: string }> {
  return (await user.get('/pin', { headers: { cookie } })).json()
}

/** The route of a GET with this `Cookie` header; the request itself never fails. */
async function routeWith(user: UserAgent, cookie: string): Promise<string[]> {
  return whereAndWhy(async () => {
    const answer = await user.get('/items', { headers: { cookie } })
    expect(answer.status).toBe(200)
    expect(answer.setCookies).toEqual([])
  })
}
