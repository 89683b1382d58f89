import { afterEach, describe, expect, it, vi } from 'vitest'
import { WritePinningError } from 'write-pinning'
import { memoryPinStore } from 'write-pinning/stores'
import { contract } from './contract.ts'

afterEach(() => vi.unstubAllEnvs())

const OPTION = 'ERR_WRITE_PINNING_OPTION'
const UNKNOWN = 'ERR_WRITE_PINNING_UNKNOWN_OPTION'

contract((serve) => {
  /** Makes the plugin or middleware and gives the error that it threw. */
  async function refusal(options: unknown): Promise<WritePinningError> {
    try {
      await serve({ options: options as object, routes: {} })
    } catch (error) {
      expect(error).toBeInstanceOf(WritePinningError)
      return error as WritePinningError
    }
    throw new Error('nothing was refused')
  }

  async function maxAge(options: object): Promise<string | undefined> {
    const { userAgent } = await serve({ options, routes: { 'POST /': async () => ({}) } })
    const { setCookies } = await userAgent().post('/')
    return /Max-Age=(\d+)/.exec(String(setCookies))?.[1]
  }

  describe('a wrong option', () => {
    const wrong: [string, unknown, string][] = [
      ['a typing error', { pinningSecond: 15 }, UNKNOWN],
      ['a typing error within the cookie', { cookie: { samesite: 'lax' } }, UNKNOWN],
      ['no time at all', { pinningSeconds: 0 }, OPTION],
      ['a negative time', { pinningSeconds: -1 }, OPTION],
      ['half a second', { pinningSeconds: 0.5 }, OPTION],
      ['a time without end', { pinningSeconds: Number.POSITIVE_INFINITY }, OPTION],
      ['no number', { pinningSeconds: Number.NaN }, OPTION],
      ['a time as text', { pinningSeconds: '15' }, OPTION],
      ['null as time', { pinningSeconds: null }, OPTION],
      ['more than a day', { pinningSeconds: 86_401 }, OPTION],
      ['an unknown pin', { pin: 'forever' }, OPTION],
      ['an unknown pinOn', { pinOn: 'always' }, OPTION],
      ['read methods that are no array', { readMethods: 'GET' }, OPTION],
      ['read methods in lower case', { readMethods: ['get'] }, OPTION],
      ['a cookie that is no object', { cookie: 'write_pin' }, OPTION],
      ['an empty cookie name', { cookie: { name: '' } }, OPTION],
      ['a cookie name with a space', { cookie: { name: 'write pin' } }, OPTION],
      ['a cookie name with a line break', { cookie: { name: 'a\nb' } }, OPTION],
      ['a path without slash', { cookie: { path: 'shop' } }, OPTION],
      ['a path with a semicolon', { cookie: { path: '/;Domain=x' } }, OPTION],
      ['a domain that is a URL', { cookie: { domain: 'https://example.org' } }, OPTION],
      ['httpOnly as text', { cookie: { httpOnly: 'yes' } }, OPTION],
      ['an unknown sameSite', { cookie: { sameSite: 'Lax' } }, OPTION],
      ['an unknown secure', { cookie: { secure: 'always' } }, OPTION],
      ['partitioned as text', { cookie: { partitioned: 'yes' } }, OPTION],
      ['__Host- with secure: false', { cookie: { name: '__Host-p', secure: false } }, OPTION],
      ['__Secure- with secure: false', { cookie: { name: '__secure-p', secure: false } }, OPTION],
      ['__Host- with a path', { cookie: { name: '__Host-p', path: '/shop' } }, OPTION],
      ['__Host- with a domain', { cookie: { name: '__Host-p', domain: 'example.org' } }, OPTION],
      ["sameSite: 'none' with secure: false", { cookie: { sameSite: 'none', secure: false } }, OPTION],
      ['partitioned with secure: false', { cookie: { partitioned: true, secure: false } }, OPTION],
      ['an unknown badSignature', { badSignature: 'replica' }, OPTION],
      ['a short secret', { secret: 'x'.repeat(31) }, OPTION],
      ['an empty secret', { secret: '' }, OPTION],
      ['no secret among several', { secret: [] }, OPTION],
      ['a short one among several', { secret: ['x'.repeat(32), 'short'] }, OPTION],
      ['skip that is no function', { skip: true }, OPTION],
      ['an empty header', { header: '' }, OPTION],
      ['a header with a space', { header: 'x pin' }, OPTION],
      ['a header that has a meaning', { header: 'Set-Cookie' }, OPTION],
      ['an unknown cacheControl', { cacheControl: 'public' }, OPTION],
      ['monotonicReads as text', { pin: 'exact', monotonicReads: 'yes' }, OPTION],
      ['monotonicReads without positions', { monotonicReads: true }, OPTION],
      ['affinity that is no function', { affinity: 'user' }, OPTION],
      ['an async affinity', { affinity: async () => 'a' }, OPTION],
      ['an async account', { pinStore: memoryPinStore(), account: async () => 'a' }, OPTION],
      ['an account without store', { account: () => 'a' }, OPTION],
      ['a store without account', { pinStore: memoryPinStore() }, OPTION],
      ['a store that is none', { pinStore: new Map(), account: () => 'a' }, OPTION],
      ['a secret that is not set', { secret: undefined }, OPTION],
      ['an async skip', { skip: async () => true }, OPTION],
      ['a text', 'pinningSeconds', OPTION],
    ]

    it.each(wrong)('(%s) is refused at once, by its code', async (_what, options, code) => {
      expect((await refusal(options)).code).toBe(code)
    })

    it.each(['too short to be one', 98765432109876])(
      'never shows its value, which may be a secret',
      async (secret) => {
        expect((await refusal({ secret })).message).not.toContain(String(secret))
      },
    )

    const UNSET =
      'Is the environment variable set? Pins that nobody signs must be a choice: leave the option out for them.'
    const long = 'x'.repeat(32)
    it.each([
      ['undefined', { secret: undefined }, `writePinning: \`secret\` is undefined. ${UNSET}`],
      ['empty', { secret: '' }, `writePinning: \`secret\` is an empty string. ${UNSET}`],
      ['null', { secret: null }, `writePinning: \`secret\` is null. ${UNSET}`],
      [
        'undefined among several',
        { secret: [long, undefined] },
        `writePinning: \`secret[1]\` is undefined. ${UNSET}`,
      ],
      [
        'short',
        { secret: 'hunter2' },
        'writePinning: `secret` must be a string of 32 characters or more, and got one of 7.',
      ],
      [
        'short among several',
        { secret: [long, 'x'.repeat(31)] },
        'writePinning: `secret[1]` must be a string of 32 characters or more, and got one of 31.',
      ],
      [
        'a number',
        { secret: 12345678 },
        'writePinning: `secret` must be a string of 32 characters or more, and got a number.',
      ],
      [
        'an object',
        { secret: { key: long } },
        'writePinning: `secret` must be a string of 32 characters or more, and got an object.',
      ],
      [
        'an array of none',
        { secret: [] },
        'writePinning: `secret` must be a string of 32 characters or more, or an array of at least one such, and got an empty array.',
      ],
    ])('says of a secret that is %s what it lacks', async (_what, options, message) => {
      expect((await refusal(options)).message).toBe(message)
    })

    it('says what was wrong and what is right', async () => {
      expect((await refusal({ pinningSeconds: 0 })).message).toBe(
        'writePinning: `pinningSeconds` must be a whole number of seconds from 1 to 86400, and got the number 0.',
      )
    })
  })

  describe('PINNING_SECONDS', () => {
    it('is the default, and the option is stronger', async () => {
      vi.stubEnv('PINNING_SECONDS', '42')
      expect(await maxAge({})).toBe('42')
      expect(await maxAge({ pinningSeconds: 7 })).toBe('7')
    })

    it.each(['0', 'soon', '1.5', '-3'])('%s is refused at once', async (value) => {
      vi.stubEnv('PINNING_SECONDS', value)
      expect((await refusal({})).message).toContain('PINNING_SECONDS')
    })

    it('is 15 where nobody says anything', async () => {
      vi.stubEnv('PINNING_SECONDS', '')
      expect(await maxAge({})).toBe('15')
    })
  })
})
