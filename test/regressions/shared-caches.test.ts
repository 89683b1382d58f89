import type { OutgoingHttpHeaders } from 'node:http'
import { describe, expect, it } from 'vitest'
import { contract } from '../contract/contract.ts'
import { pinCookie } from '../support/http.ts'
import { useShop } from '../support/shop.ts'

const { db } = useShop()

/** Node.js emits a warning one tick later. */
const warned = () => new Promise(setImmediate)

contract((serve, { name: framework }) => {
  /** What the cache headers of a response that pins come to, and of how many routes was warned. */
  async function sent(headers: Record<string, string>, options: object = {}) {
    const { userAgent, warnings } = await serve({
      options,
      routes: { 'POST /page/:id': async () => ({ headers, body: 'done' }) },
    })
    await userAgent().post('/page/1')
    const answer = await userAgent().post('/page/2')
    expect(pinCookie(answer)).toBeDefined()
    await warned()
    return { answer: answer.headers, warnings }
  }

  describe('Cache-Control of a response that pins', () => {
    it.each([
      // what it was, what it is, and whether that is told
      ['private', 'private', false],
      ['private, max-age=60', 'private, max-age=60', false],
      ['max-age=0, No-Store', 'max-age=0, No-Store', false],
      ['PRIVATE', 'PRIVATE', false],
      ['community="UCI, x", private', 'community="UCI, x", private', false],
      ['no-cache', 'private, no-cache', false],
      ['no-cache, max-age=0, must-revalidate', 'private, no-cache, max-age=0, must-revalidate', false],
      ['public', 'private', true],
      ['Public, max-age=60', 'private, max-age=60', true],
      ['max-age=60', 'private, max-age=60', true],
      [
        'max-age=5, s-maxage=600, stale-while-revalidate=30',
        'private, max-age=5, stale-while-revalidate=30',
        true,
      ],
      ['no-cache, s-maxage=600', 'private, no-cache', true],
      ['private, s-maxage=600', 'private', false],
      ['public, private', 'private', false],
      ['no-store, public', 'no-store', false],
      ['private="x-field", max-age=1', 'private, max-age=1', true],
      ['private="set-cookie", private', 'private', true],
      ['no-store=1', 'private, no-store=1', true],
      ['must-understand, no-store, max-age=9', 'private, must-understand, no-store, max-age=9', true],
      ['x="private, no-store", max-age=9', 'private, x="private, no-store", max-age=9', true],
      ['x="a\\", private, b", max-age=9', 'private, x="a\\", private, b", max-age=9', true],
      ['max-age=9, x="no-store, private', 'private, max-age=9, x="no-store, private', true],
      ['max-age=9; private', 'private, max-age=9; private', true],
      [', ,max-age=9,, public ,', 'private, max-age=9', true],
      ['x="\\', 'private, x="\\', true],
      ['proxy-revalidate', 'private, proxy-revalidate', true],
      ['immutable, s-maxage = 9', 'private, immutable', true],
    ])('%s becomes %s; told: %s', async (before, after, isTold) => {
      const { answer, warnings } = await sent({ 'cache-control': before, vary: 'accept' })
      expect([answer['cache-control'], answer.vary]).toEqual([after, expect.stringMatching(/^accept/i)])
      expect(warnings).toEqual(isTold ? [expect.stringContaining('POST /page/:id')] : [])
    })

    it.each([
      ['CDN-Cache-Control', 'max-age=600'],
      ['Cloudflare-CDN-Cache-Control', 'public, max-age=600'],
      ['Vercel-CDN-Cache-Control', 's-maxage=600'],
      ['Netlify-CDN-Cache-Control', 'public, durable, s-maxage=600'],
      ['X-LiteSpeed-Cache-Control', 'public, max-age=600'],
      ['Surrogate-Control', 'max-age=600, stale-while-revalidate=60'],
      ['Surrogate-Control', 'max-age=600+30;varnish'],
      ['Edge-Control', '!no-store, cache-maxage=10m'],
      ['X-Accel-Expires', '600'],
      ['X-Accel-Expires', '@2000000000'],
    ])('private is not undone by %s: %s, which is taken back and told', async (name, value) => {
      const { answer, warnings } = await sent({ [name]: value, 'cache-control': 'private, max-age=0' })
      expect([answer['cache-control'], answer[name.toLowerCase()]]).toEqual(['private, max-age=0', undefined])
      expect(warnings).toEqual([expect.stringContaining(name.toLowerCase())])
    })

    it.each([
      ['CDN-Cache-Control', 'private'],
      ['CDN-Cache-Control', 'no-store'],
      ['Surrogate-Control', 'no-store, content="ESI/1.0"'],
      ['X-Accel-Expires', '0'],
      ['Surrogate-Key', 'page-1'],
      ['X-Accel-Buffering', 'no'],
    ])('leaves %s: %s as it is', async (name, value) => {
      const { answer, warnings } = await sent({ [name]: value })
      expect([answer['cache-control'], answer[name.toLowerCase()]]).toEqual(['private', value])
      expect(warnings).toEqual([])
    })

    it('leaves what a surrogate does with the response, and has it store nothing', async () => {
      const { answer } = await sent({ 'Surrogate-Control': 'content="ESI/1.0, x", max-age=600' })
      expect(answer['surrogate-control']).toBe('no-store, content="ESI/1.0, x"')
    })

    it("is left as it is with `cacheControl: 'leave'`, and so are the others", async () => {
      const headers = { 'cache-control': 'public, s-maxage=9', 'cdn-cache-control': 'max-age=9' }
      const { answer, warnings } = await sent(headers, { cacheControl: 'leave' })
      expect(answer).toMatchObject(headers)
      expect((await sent({}, { cacheControl: 'leave' })).answer['cache-control']).toBeUndefined()
      expect(warnings).toEqual([])
    })

    it.each([
      ['an object', { 'CACHE-Control': 'public', 'CDN-cache-control': 'max-age=9' }],
      [
        'an object of arrays',
        { 'Cache-Control': ['public', 'max-age=9'], 'surrogate-control': ['max-age=9'] },
      ],
      ['pairs', ['Cache-Control', 'public', 'Cache-control', 's-maxage=9', 'X-Accel-Expires', '9']],
    ])('is private where the headers are given to writeHead() as %s', async (_how, headers) => {
      const { userAgent } = await serve({
        routes: {
          'POST /': async ({ response }) => {
            response.setHeader('Cache-Control', 's-maxage=60')
            response.writeHead(200, headers as OutgoingHttpHeaders)
            response.end('done')
            return undefined
          },
        },
      })
      const answer = await userAgent().post('/')
      expect(answer.headers['cache-control']).toMatch(/^private(, max-age=9)?$/)
      for (const name of ['cdn-cache-control', 'surrogate-control', 'x-accel-expires']) {
        expect(answer.headers).not.toHaveProperty(name)
      }
    })
  })

  it('with `monotonicReads`, a page that only reads is no longer public, and neither is one with the token in a header', async () => {
    const { userAgent, warnings } = await serve({
      options: { pin: 'exact', monotonicReads: true, header: 'x-write-pin' },
      routes: {
        'GET /items': async () => {
          await db.selectFrom('item').selectAll().execute()
          return { headers: { 'cache-control': 'public, s-maxage=60' }, body: 'items' }
        },
        'GET /about': async () => ({ headers: { 'cache-control': 'public, s-maxage=60' }, body: 'about' }),
      },
    })
    const answer = await userAgent().get('/items')
    expect([pinCookie(answer), answer.headers['x-write-pin']]).toEqual([
      expect.any(String),
      expect.any(String),
    ])
    expect(answer.headers['cache-control']).toBe('private')
    expect((await userAgent().get('/about')).headers['cache-control']).toBe('public, s-maxage=60')
    await warned()
    const told = warnings.filter((each) => each.includes('monotonicReads'))
    expect(told, framework).toEqual([expect.stringContaining('GET /items')])
  })
})
