import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { markWrite, useNode, usePrimary, useReplica, withoutPin } from 'write-pinning'
import { pinCookie } from '../support/http.ts'
import { whenCatalogIsRead } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { contract } from './contract.ts'
import type { Handler } from './framework.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { db, insert, read } = useLaggingShop()

const doing =
  (...steps: (() => unknown)[]): Handler =>
  async () => {
    for (const step of steps) await step()
    return { body: 'done' }
  }

const insertAndCommit = () =>
  db.transaction().execute((trx) => trx.insertInto('item').values({ name: 'lamp' }).execute())

contract((serve) => {
  describe('a write that the router saw', () => {
    it('in a GET pins, and the next GET sees it', async () => {
      const { userAgent } = await serve({
        routes: { 'GET /visit': doing(insert), 'GET /items': async () => ({ body: await read() }) },
      })
      const user = userAgent()
      expect(pinCookie(await user.get('/visit'))).toContain('Max-Age=15')
      expect((await user.get('/items')).json()).toHaveLength(1)
    })

    it.each([
      ['after the commit pins', insertAndCommit, true],
      ['before the commit pins nobody', () => insertAndRollBack().catch(() => undefined), false],
    ])('with an error that the handler throws %s', async (_when, write, pins) => {
      const { userAgent } = await serve({
        routes: {
          'GET /visit': async () => {
            await write()
            throw new Error('too late')
          },
        },
      })
      const answer = await userAgent().get('/visit')
      expect(answer.status).toBe(500)
      expect(pinCookie(answer) !== undefined).toBe(pins)
    })

    it('pins although the answer is written without the framework', async () => {
      const { userAgent } = await serve({
        routes: {
          'GET /raw': async ({ response }) => {
            await insert()
            response.setHeader('set-cookie', 'own=1')
            response.writeHead(200, { 'content-type': 'text/plain' })
            response.end('raw')
            return undefined
          },
        },
      })
      const answer = await userAgent().get('/raw')
      expect(answer.body).toBe('raw')
      expect(answer.setCookies).toContain('own=1')
      expect(pinCookie(answer)).toBeDefined()
    })

    it('by markWrite() pins, and the reads that follow are fresh', async () => {
      const { userAgent } = await serve({ routes: { 'GET /reindex': doing(read, markWrite, read) } })
      const routes = await whereAndWhy(async () => {
        expect(pinCookie(await userAgent().get('/reindex'))).toBeDefined()
      })
      expect(routes).toEqual(['replica: read', 'primary: own-write'])
    })

    it('in a request that reached no route pins; without a write a 404 pins nobody', async () => {
      const { userAgent } = await serve({
        routes: { 'GET /items': doing(read) },
        onNotFound: async ({ url }) => {
          if (url === '/write') await insert()
          return { status: 404, body: 'nothing here' }
        },
      })
      for (const [method, path] of [
        ['POST', '/nothing'],
        ['POST', '/items'],
        ['GET', '/nothing'],
      ] as const) {
        const nothing = await userAgent().request(method, path)
        expect(nothing.status).toBe(404)
        expect(nothing.setCookies).toEqual([])
      }
      expect(pinCookie(await userAgent().post('/write'))).toBeDefined()
      expect(pinCookie(await userAgent().get('/write'))).toBeDefined()
    })

    it('where the framework itself says that there is no route, a POST pins nobody', async () => {
      const { userAgent } = await serve({ routes: {} })
      const nothing = await userAgent().post('/nothing')
      expect(nothing.status).toBe(404)
      expect(nothing.setCookies).toEqual([])
    })

    it('a route that finds nothing and says 404 has been reached, and pins', async () => {
      const { userAgent } = await serve({ routes: { 'POST /items/1': async () => ({ status: 404 }) } })
      expect(pinCookie(await userAgent().post('/items/1'))).toBeDefined()
    })
  })

  describe('what does not count as a write', () => {
    const OWN = 'primary: own-write'
    const FREE = 'replica: read'
    // What was told of an attempt must not be newer than what is read after it.
    const harmless: [string, () => Promise<unknown>, string][] = [
      [
        'an update of no row',
        () => db.updateTable('item').set({ name: 'x' }).where('id', '=', -1).execute(),
        OWN,
      ],
      ['a raw delete of no row', () => sql`delete from item where id = ${-1}`.execute(db), OWN],
      ['a transaction that rolls back', () => insertAndRollBack().catch(() => 'rolled back'), OWN],
      [
        'a write to an unpinned table',
        () => db.insertInto('session').values({ sid: 'a', data: 'b' }).execute(),
        FREE,
      ],
      ['a write under withoutPin()', () => withoutPin(insert), FREE],
      [
        'an insert that the server refused',
        () => sql`insert into item (id) values (1)`.execute(db).catch(() => 'refused'),
        OWN,
      ],
    ]

    it.each(harmless)('%s pins nobody', async (_what, write, then) => {
      await whenCatalogIsRead(db)
      const { userAgent } = await serve({ routes: { 'GET /': doing(write, read) } })
      const routes = await whereAndWhy(async () =>
        expect((await userAgent().get('/')).setCookies).toEqual([]),
      )
      expect(routes.at(-1)).toBe(then)
    })
  })

  describe("pinOn: 'write'", () => {
    const app = {
      options: { pinOn: 'write' },
      routes: {
        'POST /read': doing(read),
        'POST /write': doing(insert),
        'GET /marked': { marks: { dbWrite: true }, handler: doing(read) },
      },
    }

    it('does not pin for a POST that changes nothing, whose reads are fresh all the same', async () => {
      const { userAgent } = await serve(app)
      const sent = await whereAndWhy(async () => {
        expect((await userAgent().post('/read')).setCookies).toEqual([])
      })
      expect(sent).toEqual(['primary: write-request'])
    })

    it('pins for a write that the router saw, and for dbWrite: true', async () => {
      const { userAgent } = await serve(app)
      expect(pinCookie(await userAgent().post('/write'))).toBeDefined()
      expect(pinCookie(await userAgent().get('/marked'))).toBeDefined()
    })
  })

  describe('a skipped request', () => {
    it('neither honours nor sets a pin, and its reads after a write are fresh', async () => {
      const { userAgent } = await serve({
        options: {
          skip: (request: { headers: Record<string, unknown> }) => request.headers['x-bot'] !== undefined,
        },
        routes: {
          'POST /add': doing(insert),
          'GET /items': async ({ writePin }) => ({ body: { items: await read(), pin: writePin } }),
          'GET /visit': async () => {
            await insert()
            return { body: await read() }
          },
        },
      })
      const user = userAgent()
      const headers = { 'x-bot': '1' }
      await user.post('/add')
      expect((await user.get('/items')).json().items).toHaveLength(1)
      expect((await user.get('/items', { headers })).json()).toEqual({ items: [], pin: { pinned: false } })
      expect((await user.post('/add', { headers })).setCookies).toEqual([])
      const visited = await user.get('/visit', { headers })
      expect(visited.setCookies).toEqual([])
      expect(visited.json()).toHaveLength(3)
    })

    it('whose `skip` throws is answered with an error, and the next one is served', async () => {
      let isBroken = true
      const skip = () => {
        if (isBroken) throw new Error('no')
        return false
      }
      const { userAgent } = await serve({ options: { skip }, routes: { 'GET /': doing(read) } })
      expect((await userAgent().get('/')).status).toBe(500)
      isBroken = false
      expect((await userAgent().get('/')).status).toBe(200)
    })

    it('is not skipped where `skip` gives neither true nor false, which is said once for each', async () => {
      const answers = [
        () => Promise.reject(new Error('no')),
        () => Promise.resolve(true),
        () => 'yes',
        () => undefined,
      ]
      let at = 0
      const skip = () => answers[at++]?.()
      const { userAgent, warnings } = await serve({
        options: { skip },
        routes: { 'POST /': async () => ({ body: 'done' }) },
      })
      for (const _ of answers) expect(pinCookie(await userAgent().post('/'))).toBeDefined()
      await new Promise(setImmediate)
      expect(warnings).toEqual([
        'The option `skip` gave a promise, which is neither true nor false.',
        'The option `skip` gave a value of type string, which is neither true nor false.',
      ])
    })
  })

  describe('a scope', () => {
    it('sends the reads inside it where it says, and leaves the others as they were', async () => {
      const { userAgent } = await serve({
        routes: {
          'ALL /': doing(
            read,
            () => usePrimary(read),
            () => useReplica(() => Promise.all([read(), usePrimary(read)])),
            () => useNode('replica-2', read),
            read,
          ),
        },
      })
      const scoped = ['replica: use-replica', 'primary: use-primary'].sort()
      const routesOf = async (method: string) => {
        const routes = await whereAndWhy(() => userAgent().request(method, '/'))
        return [...routes.slice(0, 2), ...routes.slice(2, 4).sort(), ...routes.slice(4)]
      }
      expect(await routesOf('GET')).toEqual([
        'replica: read',
        'primary: use-primary',
        ...scoped,
        'replica: use-node',
        'replica: read',
      ])
      expect(await routesOf('POST')).toEqual([
        'primary: write-request',
        'primary: use-primary',
        ...scoped,
        'replica: use-node',
        'primary: write-request',
      ])
    })

    it('useReplica() lets a write go to the primary, and pin', async () => {
      const { userAgent } = await serve({ routes: { 'GET /': doing(() => useReplica(insert)) } })
      const routes = await whereAndWhy(async () =>
        expect(pinCookie(await userAgent().get('/'))).toBeDefined(),
      )
      expect(routes).toEqual(['primary: write'])
    })

    it('useReplica() accepts stale reads although the user agent is pinned', async () => {
      const { userAgent } = await serve({
        routes: { 'POST /add': doing(insert), 'GET /top': doing(() => useReplica(read), read) },
      })
      const user = userAgent()
      await user.post('/add')
      expect(await whereAndWhy(() => user.get('/top'))).toEqual(['replica: use-replica', 'primary: pin'])
    })
  })
})

function insertAndRollBack(): Promise<unknown> {
  return db.transaction().execute(async (trx) => {
    await trx.insertInto('item').values({ name: 'lamp' }).execute()
    throw new Error('no')
  })
}
