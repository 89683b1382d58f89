import { once } from 'node:events'
import { request as requestHttp, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { type Answer, pinCookie } from '../support/http.ts'
import { useShop } from '../support/shop.ts'
import { contract } from './contract.ts'
import type { Handler } from './framework.ts'

const { insert } = useShop()

/** Writes, and answers over Node.js's own response. */
function answering(answer: (response: ServerResponse) => unknown): Handler {
  return async ({ response }) => {
    await insert()
    await answer(response)
    return undefined
  }
}

const own = (answer: Answer) => answer.setCookies.filter((each) => !each.startsWith('write_pin='))

/** What comes back for exactly these bytes. */
async function raw(origin: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  socket.end(bytes)
  return text(socket)
}

const heads: [string, (response: ServerResponse) => unknown, string[]][] = [
  ['an object', (response) => response.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }), ['a=1', 'b=2']],
  [
    'a list',
    (response) => response.writeHead(200, ['set-cookie', 'a=1', 'set-cookie', 'b=2']),
    ['a=1', 'b=2'],
  ],
  [
    'a list of pairs',
    (response) =>
      response.writeHead(200, [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ] as never),
    ['a=1', 'b=2'],
  ],
  [
    'a reason and a list of pairs',
    (response) =>
      response.writeHead(200, 'Fine', [
        ['set-cookie', 'a=1'],
        ['set-cookie', ['b=2', 'c=3']],
      ] as never),
    ['a=1', 'b=2', 'c=3'],
  ],
  [
    'no reason and an object',
    (response) => response.writeHead(200, undefined, { 'set-cookie': ['a=1', 'b=2'] }),
    ['a=1', 'b=2'],
  ],
  [
    'a list of pairs and nothing',
    (response) =>
      (response.writeHead as (...args: unknown[]) => unknown)(
        200,
        [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
        undefined,
      ),
    ['a=1', 'b=2'],
  ],
  [
    'null and an object, as Node.js takes it',
    (response) => response.writeHead(200, null as never, { 'set-cookie': ['a=1', 'b=2'] }),
    ['a=1', 'b=2'],
  ],
  [
    'an object and null',
    (response) =>
      (response.writeHead as (...args: unknown[]) => unknown)(200, { 'set-cookie': ['a=1', 'b=2'] }, null),
    ['a=1', 'b=2'],
  ],
  [
    'what is no reason and an object',
    (response) => response.writeHead(200, false as never, { 'set-cookie': ['a=1', 'b=2'] }),
    ['a=1', 'b=2'],
  ],
  ['null', (response) => response.writeHead(200, null as never), []],
  ['an empty list', (response) => response.writeHead(200, []), []],
  ['none', (response) => response.writeHead(200), []],
]

contract((serve) => {
  describe('the pin, and every cookie of the application, leave with', () => {
    it.each(heads)('headers that are given to writeHead() as %s', async (_form, writeHead, cookies) => {
      const { userAgent } = await serve({
        routes: {
          'GET /': answering((response) => {
            writeHead(response)
            response.end('done')
          }),
        },
      })
      const answer = await userAgent().get('/')
      expect([answer.status, answer.body]).toEqual([200, 'done'])
      expect(pinCookie(answer)).toBeDefined()
      expect(own(answer)).toEqual(cookies)
    })

    it('a response that early hints and other 1xx come before', async () => {
      const { userAgent } = await serve({
        routes: {
          'POST /': answering(async (response) => {
            response.writeProcessing()
            await new Promise<void>((resolve) =>
              response.writeEarlyHints({ link: '</style.css>; rel=preload' }, resolve),
            )
            response.end('done')
          }),
        },
      })
      const sent = requestHttp(new URL('/', userAgent().origin), { method: 'POST', agent: false })
      const before: number[] = []
      sent.on('information', ({ statusCode, headers }) => {
        before.push(statusCode)
        expect(headers).not.toHaveProperty('set-cookie')
      })
      sent.end()
      const [response] = await once(sent, 'response')
      response.resume()
      expect(before).toEqual([102, 103])
      expect(response.headers['set-cookie']).toEqual([expect.stringMatching(/^write_pin=/)])
    })
  })

  describe('a request', () => {
    it('of HTTP/1.0, without a single header, is answered, and pins where it writes', async () => {
      const { userAgent } = await serve({ routes: { 'ALL /': async () => ({ body: 'done' }) } })
      const { origin } = userAgent()
      expect(await raw(origin, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 (?!.*write_pin)/s)
      expect(await raw(origin, 'POST / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 .*write_pin=/s)
    })

    it.each([';;;===', 'write_pin', 'write_pin=', '=write_pin=1', 'write_pin=;write_pin=%ZZ'])(
      'with the cookie %s is answered',
      async (cookie) => {
        const { userAgent } = await serve({ routes: { 'GET /': async () => ({ body: 'done' }) } })
        expect((await userAgent().get('/', { headers: { cookie } })).body).toBe('done')
      },
    )

    it('whose response is destroyed at once goes on, writes, and harms nobody', async () => {
      const { userAgent, counts } = await serve({
        routes: {
          'POST /': answering((response) => {
            response.destroy()
            response.end('too late')
          }),
          'GET /': async () => ({ body: 'done' }),
        },
      })
      await expect(userAgent().post('/')).rejects.toThrow()
      expect((await userAgent().get('/')).body).toBe('done')
      expect(counts.late).toBe(0)
    })
  })

  describe('a write is answered although', () => {
    it('the response refuses the cookie, which is told once', async () => {
      const { userAgent, warnings } = await serve({
        routes: {
          'POST /': answering((response) => {
            const { setHeader } = response
            response.setHeader = function (name, value) {
              if (name.toLowerCase() === 'set-cookie') throw new Error('No cookies here')
              return setHeader.call(this, name, value)
            }
            response.end('done')
          }),
        },
      })
      for (let i = 0; i < 2; i++) {
        const answer = await userAgent().post('/')
        expect([answer.status, answer.body, answer.setCookies]).toEqual([200, 'done', []])
      }
      await expect.poll(() => warnings).toEqual([expect.stringContaining('No cookies here')])
    })
  })
})
