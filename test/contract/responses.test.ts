import type { OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { markWrite } from 'write-pinning'
import { pinCookie } from '../support/http.ts'
import { contract } from './contract.ts'
import type { Handler, Reply } from './framework.ts'

const failing: Handler = async () => {
  throw new Error('no')
}

contract((serve) => {
  describe('a response that pins', () => {
    it.each<[string, Reply]>([
      ['without content', { status: 204 }],
      ['with content', { body: { text: 'done' } }],
      ['that creates', { status: 201, headers: { location: '/items/1' }, body: 'done' }],
      ['that redirects', { status: 303, redirect: '/items' }],
      ['that redirects and keeps the method', { status: 307, redirect: '/items' }],
      ['that says what the client did wrong', { status: 400, body: 'what?' }],
      ['that found nothing', { status: 404, body: 'nothing' }],
      ['that failed', { status: 503, body: 'later' }],
    ])('%s carries the cookie, once', async (_what, reply) => {
      const { userAgent } = await serve({ routes: { 'POST /': async () => reply } })
      const answer = await userAgent().post('/')
      expect(answer.status).toBe(reply.status ?? 200)
      expect(pinCookie(answer)).toBeDefined()
      expect(answer.headers['cache-control']).toBe('private')
      if (reply.redirect !== undefined) expect(answer.headers.location).toBe(reply.redirect)
    })

    it('that is a stream carries the cookie', async () => {
      const { userAgent } = await serve({
        routes: { 'POST /': async () => ({ stream: Readable.from(['a', 'b']) }) },
      })
      const answer = await userAgent().post('/')
      expect(answer.body).toBe('ab')
      expect(pinCookie(answer)).toBeDefined()
    })

    it('of an error that the handler throws carries the cookie', async () => {
      const { userAgent } = await serve({ routes: { 'POST /': failing } })
      const answer = await userAgent().post('/')
      expect(answer.status).toBe(500)
      expect(pinCookie(answer)).toBeDefined()
    })

    it('of what refuses the request before its handler carries the cookie, whatever the status', async () => {
      const { userAgent } = await serve({
        guard: () => ({ status: 401, body: 'who are you?' }),
        routes: { 'POST /': failing },
      })
      const answer = await userAgent().post('/')
      expect(answer.status).toBe(401)
      expect(pinCookie(answer)).toBeDefined()
    })

    it('of an error handler that marks a write carries the cookie', async () => {
      const { userAgent } = await serve({
        routes: { 'GET /': failing },
        onError: async () => {
          markWrite()
          return { status: 409, body: 'conflict' }
        },
      })
      const answer = await userAgent().get('/')
      expect(answer.status).toBe(409)
      expect(pinCookie(answer)).toBeDefined()
    })

    it('carries the cookies of the application as well, and the array they are in stays as it is', async () => {
      const COOKIES = ['a=1', 'b=2']
      const { userAgent } = await serve({
        routes: {
          'ALL /': async ({ response }) => {
            response.setHeader('set-cookie', COOKIES)
            return { body: 'done' }
          },
        },
      })
      for (let sent = 0; sent < 3; sent++) expect((await userAgent().post('/')).setCookies).toHaveLength(3)
      expect((await userAgent().get('/')).setCookies).toEqual(['a=1', 'b=2'])
      expect(COOKIES).toEqual(['a=1', 'b=2'])
    })

    it.each([
      ['an object', { 'set-cookie': ['own=1', 'other=2'], 'x-own': '1' }],
      ['pairs', ['set-cookie', 'own=1', 'set-cookie', 'other=2', 'x-own', '1']],
    ])('whose headers are given to writeHead() as %s loses none of them', async (_how, headers) => {
      const { userAgent } = await serve({
        routes: {
          'POST /': async ({ response }) => {
            response.writeHead(202, headers as OutgoingHttpHeaders)
            response.end('done')
            return undefined
          },
        },
      })
      const answer = await userAgent().post('/')
      expect(answer.status).toBe(202)
      expect(answer.headers['x-own']).toBe('1')
      expect(answer.setCookies).toEqual(['own=1', 'other=2', expect.stringMatching(/^write_pin=/)])
    })
  })

  describe('Cache-Control of a response that pins', () => {
    it('of a response that does not pin is left as it is, without a warning', async () => {
      const { userAgent, warnings } = await serve({
        routes: { 'GET /': async () => ({ headers: { 'cache-control': 'public' }, body: 'done' }) },
      })
      expect((await userAgent().get('/')).headers['cache-control']).toBe('public')
      await new Promise(setImmediate)
      expect(warnings).toEqual([])
    })
  })
})
