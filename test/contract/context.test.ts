import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { OutgoingHttpHeaders } from 'node:http'
import { sql } from 'kysely'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { RequestInit } from '../support/http.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { contract } from './contract.ts'
import type { App } from './framework.ts'

const { cluster, db, read } = useShop()

// What is awaited between two reads: each of these has lost a context somewhere before.
const detours: (() => Promise<unknown>)[] = [
  () => Promise.resolve(),
  () => new Promise((resolve) => setImmediate(resolve)),
  () => new Promise((resolve) => process.nextTick(resolve)),
  () => db.transaction().execute((trx) => trx.selectFrom('item').selectAll().execute()),
  () => cluster.primary.query('select 1'),
]

const app: App = {
  routes: {
    'ALL /everywhere': async ({ body }) => {
      for (const detour of detours) {
        await detour()
        await read()
      }
      return { body: { body: body ?? null } }
    },
    // Each read carries its request's tag in its text, so that its route can be told from those of the others.
    'ALL /tagged': async ({ headers }) => {
      const tagged = () => sql`select 1 as tag where ${sql.lit(headers['x-tag'])} <> ''`.execute(db)
      if (headers['x-write'] !== undefined) await db.insertInto('item').values({ name: 'lamp' }).execute()
      for (const detour of detours) {
        await detour()
        await tagged()
      }
      return { body: 'done' }
    },
  },
}

const bodies: [string, RequestInit, unknown][] = [
  ['JSON', { body: JSON.stringify({ name: 'lamp' }) }, { name: 'lamp' }],
  ['urlencoded', { body: new URLSearchParams({ name: 'lamp' }) }, { name: 'lamp' }],
  ['multipart', { body: form() }, { name: 'lamp' }],
  ['streamed, of 1 MB', { body: Buffer.alloc(1_000_000) }, { length: 1_000_000 }],
  ['empty', {}, null],
]

let onRequest = () => {}
const requestStart = () => onRequest()
subscribe('http.server.request.start', requestStart)

afterEach(() => {
  onRequest = () => {}
})

afterAll(async () => {
  unsubscribe('http.server.request.start', requestStart)
})

contract((serve) => {
  describe('the context of a request', () => {
    it.each(bodies)(
      'of a POST whose body is %s is there in the handler and what it awaits',
      async (_kind, init, parsed) => {
        const { userAgent } = await serve(app)
        const routes = await whereAndWhy(async () => {
          const answer = await userAgent().post('/everywhere', init)
          expect(answer.status).toBe(200)
          expect(answer.json()).toEqual({ body: parsed })
        })
        const reads = routes.filter((each) => each !== 'primary: transaction')
        expect(reads).toEqual(Array(detours.length).fill('primary: write-request'))
      },
    )

    it.each(bodies.slice(0, -1))(
      'survives a body, %s, that comes long after the headers',
      async (_kind, init) => {
        const { userAgent } = await serve(app)
        const routes = await whereAndWhy(async () => {
          const bodyAfter = new Promise<void>((resolve) => {
            onRequest = () => setImmediate(resolve)
          })
          const answer = await userAgent().post('/everywhere', { ...init, bodyAfter })
          expect(answer.status).toBe(200)
        })
        const reads = routes.filter((each) => each !== 'primary: transaction')
        expect(reads).toEqual(Array(detours.length).fill('primary: write-request'))
      },
    )

    it('is never that of another of 200 concurrent requests of mixed kinds', async () => {
      const { userAgent } = await serve(app)
      const pinned = userAgent()
      await pinned.post('/everywhere')
      const kinds: [
        expected: string,
        send: (headers: OutgoingHttpHeaders, index: number) => Promise<unknown>,
      ][] = [
        [
          'write-request',
          (headers, index) => userAgent().post('/tagged', { ...bodies[index % bodies.length]?.[1], headers }),
        ],
        ['read', (headers) => userAgent().get('/tagged', { headers })],
        ['pin', (headers) => pinned.get('/tagged', { headers })],
        ['own-write', (headers) => userAgent().get('/tagged', { headers: { ...headers, 'x-write': '1' } })],
      ]
      const expected = Array.from({ length: 200 }, (_, index) => kinds[index % kinds.length]?.[0])
      const routes = await routesOf(() =>
        Promise.all(
          expected.map((_, index) => kinds[index % kinds.length]?.[1]({ 'x-tag': `<${index}>` }, index)),
        ),
      )
      for (const [index, reason] of expected.entries()) {
        const reasons = routes.filter(({ sql }) => sql.includes(`'<${index}>'`)).map((each) => each.reason)
        expect(reasons, `request ${index}`).toEqual(detours.map(() => reason))
      }
    })
  })
})

function form(): FormData {
  const data = new FormData()
  data.set('name', 'lamp')
  return data
}
