import { createRequire } from 'node:module'
import { serialize } from 'cookie'
import { describe, expect, it } from 'vitest'
import { WritePinningError } from 'write-pinning'
import { cookieSettings, refuseUnwritableCookie } from '../../src/pinning/cookie-options.ts'
import { contract } from '../contract/contract.ts'
import { pinCookie } from '../support/http.ts'

type Serialize = typeof serialize

const LABEL = 'x'.repeat(63)
const PATHS = Array.from({ length: 0x80 }, (_, code) => `/${String.fromCharCode(code)}x`)

contract((serve) => {
  /** Makes the plugin or middleware and gives the error that it threw; undefined where it threw none. */
  async function refusal(options: object): Promise<WritePinningError | undefined> {
    try {
      await serve({ options, routes: {} })
    } catch (error) {
      expect(error).toBeInstanceOf(WritePinningError)
      return error as WritePinningError
    }
    return undefined
  }

  describe('what the cookie library refuses', () => {
    it.each([
      ['cookie.path', { path: '/<x' }],
      ['cookie.domain', { domain: `${LABEL}y.example` }],
      ['cookie.domain', { domain: `shop.${LABEL}y` }],
    ])('in %s is refused at registration, with its name', async (name, cookie) => {
      const error = await refusal({ cookie })
      expect(error?.code).toBe('ERR_WRITE_PINNING_OPTION')
      expect(error?.message).toContain(`\`${name}\``)
    })

    it('is all that is refused: a response carries whatever passes', async () => {
      for (const path of PATHS) {
        const options = { cookie: { path } }
        if ((await refusal(options)) !== undefined) continue
        const routes = { 'POST /': async () => ({ body: 'done' }) }
        const { userAgent, close } = await serve({ options, routes })
        const answer = await userAgent().post('/')
        await close()
        expect([path, answer.status, pinCookie(answer)]).toEqual([
          path,
          200,
          expect.stringContaining(`Path=${path}`),
        ])
      }
    })

    it('has labels of 63 characters pass', async () => {
      expect(await refusal({ cookie: { domain: `${LABEL}.example` } })).toBeUndefined()
    })
  })

  describe('a `header` that', () => {
    it.each([
      ['browsers obey', 'Access-Control-Allow-Origin'],
      ['browsers obey for another page', 'Content-Security-Policy'],
      ['opens a popup to others', 'cross-origin-opener-policy'],
      ['carries cookies', 'Cookie'],
      ['sets cookies', 'set-cookie'],
      ['carries a login', 'authorization'],
      ['ends a body', 'content-length'],
      ['is of one hop', 'Transfer-Encoding'],
      ['is of one hop, too', 'proxy-connection'],
      ['names the host', 'host'],
      ['a proxy sets', 'X-Forwarded-For'],
      ['a proxy sets, too', 'forwarded'],
      ['nginx obeys', 'X-Accel-Redirect'],
      ['a shared cache obeys', 'CDN-Cache-Control'],
      ['a shared cache obeys, too', 'surrogate-control'],
      ['makes a request conditional', 'if-none-match'],
      ['browsers alone may send', 'Sec-Fetch-Site'],
      ['changes the method', 'x-http-method-override'],
      ['is for a range', 'range'],
      ['starts a download', 'content-disposition'],
      ['redirects', 'refresh'],
    ])('%s is refused, and the message says what is right', async (_what, header) => {
      const error = await refusal({ header })
      expect(error?.code).toBe('ERR_WRITE_PINNING_OPTION')
      expect(error?.message).toContain("'x-write-pin'")
    })

    it.each(['x-write-pin', 'X-Shop-Freshness', 'write-pin'])(
      '%s is the application’s own',
      async (header) => {
        expect(await refusal({ header })).toBeUndefined()
      },
    )
  })
})

describe.each<[string, Serialize]>([
  ['1.x', serialize],
  ['0.7', createRequire(import.meta.resolve('cookie-parser'))('cookie').serialize as Serialize],
])('the package `cookie` %s', (_version, library) => {
  it.each([
    ['path', '/<x'],
    ['domain', `${LABEL}y.example`],
  ])('is asked for the cookie’s %s', (name, value) => {
    const settings = cookieSettings('writePinning', { [name]: value })
    expect(() => refuseUnwritableCookie('writePinning', settings, library)).toThrowError(
      expect.objectContaining({ code: 'ERR_WRITE_PINNING_OPTION' }),
    )
    expect(() =>
      refuseUnwritableCookie('writePinning', cookieSettings('writePinning'), library),
    ).not.toThrow()
  })
})
