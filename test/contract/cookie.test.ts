import { describe, expect, it } from 'vitest'
import { certificate, privateKey } from '../support/certificate.ts'
import { pinCookie } from '../support/http.ts'
import { contract } from './contract.ts'
import type { App } from './framework.ts'

contract((serve) => {
  const appWith = (options: object = {}, server: Partial<App> = {}) =>
    serve({ ...server, options: { pinningSeconds: 15, ...options }, routes: { 'POST /': async () => ({}) } })

  describe('Secure', () => {
    it('is set on HTTPS and not on HTTP', async () => {
      const plain = await appWith()
      expect(pinCookie(await plain.userAgent().post('/'))).not.toContain('Secure')
      const secure = await appWith({}, { https: { key: privateKey, cert: certificate } })
      expect(pinCookie(await secure.userAgent().post('/'))).toContain('Secure')
    })

    it('follows a proxy that the application trusts, and no other', async () => {
      const headers = { 'x-forwarded-proto': 'https' }
      const trusting = await appWith({}, { trustProxy: '127.0.0.1' })
      expect(pinCookie(await trusting.userAgent().post('/', { headers }))).toContain('Secure')
      const wary = await appWith()
      expect(pinCookie(await wary.userAgent().post('/', { headers }))).not.toContain('Secure')
    })

    it.each([
      ['the prefix __Host-', { name: '__Host-pin' }],
      ['the prefix __Secure-', { name: '__Secure-pin', path: '/shop' }],
      ['sameSite: none', { name: 'p', sameSite: 'none' }],
      ['partitioned', { name: 'p', partitioned: true }],
    ])('is set also on HTTP where %s demands it', async (_what, cookie) => {
      const { userAgent } = await appWith({ cookie })
      expect(pinCookie(await userAgent().post('/'), cookie.name)).toContain('Secure')
    })
  })

  describe('the attributes of the cookie', () => {
    it('are Max-Age, Path, HttpOnly and SameSite=Lax where nobody says anything', async () => {
      const { userAgent } = await appWith()
      const { setCookies } = await userAgent().post('/')
      expect(setCookies).toEqual([
        expect.stringMatching(/^write_pin=1t\w+; Max-Age=15; Path=\/; HttpOnly; SameSite=Lax$/),
      ])
    })

    it('are those of the options', async () => {
      const cookie = {
        name: 'p',
        path: '/shop',
        domain: 'example.org',
        httpOnly: false,
        sameSite: 'strict',
        secure: true,
      }
      const { userAgent } = await appWith({ pinningSeconds: 60, cookie })
      const { setCookies } = await userAgent().post('/')
      expect(setCookies[0]).toMatch(
        /^p=1t\w+; Max-Age=60; Domain=example.org; Path=\/shop; Secure; SameSite=Strict$/,
      )
    })

    it('tell a browser to partition it', async () => {
      const { userAgent } = await appWith({ cookie: { partitioned: true } })
      expect(pinCookie(await userAgent().post('/'))).toContain('Partitioned')
    })
  })
})
