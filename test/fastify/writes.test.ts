import { type FastifyInstance, type FastifyPluginAsync, fastify } from 'fastify'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dbWrite, markWrite, useReplica, withoutPin } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { openDatabase, startShop } from '../support/cluster.ts'
import { listen, pinCookie, type UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'

const cluster = await startShop(2)
const db = openDatabase(cluster, { unpinnedTables: ['session'] })
const apps: FastifyInstance[] = []

beforeEach(async () => {
  for (const replica of cluster.replicas) await replica.pauseReplay()
})

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
  for (const replica of cluster.replicas) await replica.resumeReplay()
  await cluster.primary.query('truncate item, session')
  await cluster.waitForCatchup()
})

afterAll(async () => {
  await db.destroy()
  await cluster.stop()
})

const insert = () => db.insertInto('item').values({ name: 'lamp' }).execute()
const read = () => db.selectFrom('item').selectAll().execute()

async function serve(routes: FastifyPluginAsync, options: WritePinningOptions = {}): Promise<UserAgent> {
  const app = fastify()
  apps.push(app)
  await app.register(writePinning, options)
  await app.register(routes)
  return (await listen(app))()
}

describe('dbWrite', () => {
  const byConfig: FastifyPluginAsync = async (app) => {
    app.get('/track', { config: { dbWrite: true } }, read)
  }
  const byDecorator: FastifyPluginAsync = async (app) => {
    app.get('/track', dbWrite(read))
  }

  it.each([
    ['as route config', byConfig],
    ['around the handler', byDecorator],
  ])('%s makes a GET, and its HEAD, what a POST is', async (_how, routes) => {
    for (const method of ['GET', 'HEAD']) {
      const user = await serve(routes)
      const sent = await whereAndWhy(async () => {
        expect(pinCookie(await user.request(method, '/track'))).toContain('Max-Age=15')
      })
      expect(sent).toEqual(['primary: write-request'])
    }
  })

  it('is honoured on routes that were defined before the plugin was registered', async () => {
    const app = fastify()
    apps.push(app)
    app.get('/config', { config: { dbWrite: true } }, read)
    app.get('/decorator', dbWrite(read))
    app.register(async (child) => {
      child.get('/child', dbWrite(read))
    })
    await app.register(writePinning)
    const user = await listen(app)
    for (const path of ['/config', '/decorator', '/child']) {
      expect(pinCookie(await user().get(path)), path).toBeDefined()
    }
  })

  it('is honoured where another plugin has wrapped the handler', async () => {
    const app = fastify()
    apps.push(app)
    app.addHook('onRoute', (route) => {
      const { handler } = route
      route.handler = async function (request, reply) {
        return handler.call(this, request, reply)
      }
    })
    await app.register(writePinning)
    app.get('/track', dbWrite(read))
    const user = (await listen(app))()
    const routes = await whereAndWhy(async () => expect(pinCookie(await user.get('/track'))).toBeDefined())
    expect(routes).toEqual(['primary: write-request'])
  })

  it('keeps `this`, the arguments, the name and the length of a handler', async () => {
    async function track(this: FastifyInstance, _request: unknown, _reply: unknown) {
      return typeof this.writePinning
    }
    const marked = dbWrite(track)
    expect(marked.name).toBe('track')
    expect(marked.length).toBe(2)
    const user = await serve(async (app) => {
      app.get('/', marked)
    })
    expect((await user.get('/')).body).toBe('object')
  })

  it('false on a POST lets its reads go to a replica and pins nobody', async () => {
    const user = await serve(async (app) => {
      app.post('/search', { config: { dbWrite: false } }, read)
    })
    const routes = await whereAndWhy(async () => expect((await user.post('/search')).setCookies).toEqual([]))
    expect(routes).toEqual(['replica: read'])
  })

  it('false on a POST that writes all the same pins, because the router saw it', async () => {
    const user = await serve(async (app) => {
      app.post('/search', { config: { dbWrite: false } }, async () => {
        await read()
        await insert()
        return read()
      })
    })
    const routes = await whereAndWhy(async () => {
      const answer = await user.post('/search')
      expect(pinCookie(answer)).toBeDefined()
      expect(answer.json()).toMatchObject([{ name: 'lamp' }])
    })
    expect(routes).toEqual(['replica: read', 'primary: write', 'primary: own-write'])
  })
})

describe('readFrom', () => {
  it.each([
    ['primary', 'primary: read-from'],
    ['replica', 'replica: read-from'],
    ['replica-2', 'replica: read-from'],
  ])('%s says where the reads of a request go, and pins nothing', async (readFrom, route) => {
    const user = await serve(async (app) => {
      app.get('/report', { config: { readFrom } }, read)
    })
    const routes = await whereAndWhy(async () => expect((await user.get('/report')).setCookies).toEqual([]))
    expect(routes).toEqual([route])
  })

  it('with dbWrite: false on a POST reads fresh, and pins if it wrote', async () => {
    const user = await serve(async (app) => {
      app.post('/read', { config: { dbWrite: false, readFrom: 'primary' } }, read)
      app.post('/write', { config: { dbWrite: false, readFrom: 'primary' } }, insert)
    })
    expect((await user.post('/read')).setCookies).toEqual([])
    expect(pinCookie(await user.post('/write'))).toBeDefined()
  })

  it("of a replica's name lets the route's writes go to the primary", async () => {
    const user = await serve(async (app) => {
      app.post('/report', { config: { readFrom: 'replica-1' } }, async () => {
        await read()
        await insert()
        return 'done'
      })
    })
    const routes = await whereAndWhy(async () => expect(pinCookie(await user.post('/report'))).toBeDefined())
    expect(routes).toEqual(['replica: read-from', 'primary: write'])
  })
})

describe('a write that the router saw', () => {
  it('in a GET pins, and the next GET sees it', async () => {
    const user = await serve(async (app) => {
      app.get('/visit', insert)
      app.get('/items', read)
    })
    expect(pinCookie(await user.get('/visit'))).toContain('Max-Age=15')
    expect((await user.get('/items')).json()).toHaveLength(1)
  })

  it('pins although the handler throws after the commit', async () => {
    const user = await serve(async (app) => {
      app.get('/visit', async () => {
        await db.transaction().execute((trx) => trx.insertInto('item').values({ name: 'lamp' }).execute())
        throw new Error('too late')
      })
    })
    const answer = await user.get('/visit')
    expect(answer.status).toBe(500)
    expect(pinCookie(answer)).toBeDefined()
  })

  it('pins although the response bypasses the hooks of Fastify', async () => {
    const user = await serve(async (app) => {
      app.get('/raw', async (_request, reply) => {
        await insert()
        reply.hijack()
        reply.raw.setHeader('set-cookie', 'own=1')
        reply.raw.writeHead(200, { 'content-type': 'text/plain' })
        reply.raw.end('raw')
      })
    })
    const answer = await user.get('/raw')
    expect(answer.setCookies).toContain('own=1')
    expect(pinCookie(answer)).toBeDefined()
  })

  it('in an onSend hook of a route, or of a plugin registered later, pins', async () => {
    const user = await serve(async (app) => {
      app.get('/route', { onSend: async () => void (await insert()) }, read)
      app.register(async (child) => {
        child.addHook('onSend', async () => void (await insert()))
        child.get('/plugin', read)
      })
    })
    expect(pinCookie(await user.get('/route'))).toBeDefined()
    expect(pinCookie(await user.get('/plugin'))).toBeDefined()
  })

  it('by markWrite() pins, and the reads that follow are fresh', async () => {
    const user = await serve(async (app) => {
      app.get('/reindex', async () => {
        await read()
        markWrite()
        await read()
        return 'done'
      })
    })
    const routes = await whereAndWhy(async () => expect(pinCookie(await user.get('/reindex'))).toBeDefined())
    expect(routes).toEqual(['replica: read', 'primary: own-write'])
  })

  it('inside useReplica() goes to the primary and pins', async () => {
    const user = await serve(async (app) => {
      app.get('/', () => useReplica(insert))
    })
    const routes = await whereAndWhy(async () => expect(pinCookie(await user.get('/'))).toBeDefined())
    expect(routes).toEqual(['primary: write'])
  })

  it('in a request that reached no route pins; without a write a 404 pins nobody', async () => {
    const user = await serve(async (app) => {
      app.setNotFoundHandler(async (request, reply) => {
        if (request.url === '/write') await insert()
        return reply.code(404).send('nothing here')
      })
    })
    const nothing = await user.post('/nothing')
    expect(nothing.status).toBe(404)
    expect(nothing.setCookies).toEqual([])
    expect(pinCookie(await user.post('/write'))).toBeDefined()
  })
})

describe('what does not count as a write', () => {
  const harmless: [string, () => Promise<unknown>][] = [
    ['an update of no row', () => db.updateTable('item').set({ name: 'x' }).where('id', '=', -1).execute()],
    ['a raw delete of no row', () => sql`delete from item where id = ${-1}`.execute(db)],
    [
      'a transaction that rolls back',
      () =>
        db
          .transaction()
          .execute(async (trx) => {
            await trx.insertInto('item').values({ name: 'lamp' }).execute()
            throw new Error('no')
          })
          .catch(() => 'rolled back'),
    ],
    [
      'a write to an unpinned table',
      () => db.insertInto('session').values({ sid: 'a', data: 'b' }).execute(),
    ],
    ['a write under withoutPin()', () => withoutPin(insert)],
    [
      'an insert that the server refused',
      () => sql`insert into item (id) values (1)`.execute(db).catch(() => 'refused'),
    ],
  ]

  it.each(harmless)('%s pins nobody', async (_what, write) => {
    const user = await serve(async (app) => {
      app.get('/', async () => {
        await write()
        return read()
      })
    })
    const routes = await whereAndWhy(async () => expect((await user.get('/')).setCookies).toEqual([]))
    expect(routes.at(-1)).toBe('replica: read')
  })
})

describe("pinOn: 'write'", () => {
  const routes: FastifyPluginAsync = async (app) => {
    app.post('/read', read)
    app.post('/write', insert)
    app.get('/marked', { config: { dbWrite: true } }, read)
  }

  it('does not pin for a POST that changes nothing, whose reads are fresh all the same', async () => {
    const user = await serve(routes, { pinOn: 'write' })
    const sent = await whereAndWhy(async () => expect((await user.post('/read')).setCookies).toEqual([]))
    expect(sent).toEqual(['primary: write-request'])
  })

  it('pins for a write that the router saw, and for dbWrite: true', async () => {
    const user = await serve(routes, { pinOn: 'write' })
    expect(pinCookie(await user.post('/write'))).toBeDefined()
    expect(pinCookie(await user.get('/marked'))).toBeDefined()
  })
})

describe('a skipped request', () => {
  it('neither honours nor sets a pin, and its reads after a write are fresh', async () => {
    const user = await serve(
      async (app) => {
        app.post('/add', insert)
        app.get('/items', async (request) => ({ items: await read(), pin: request.writePin }))
        app.get('/visit', async () => {
          await insert()
          return read()
        })
      },
      { skip: (request) => request.headers['x-bot'] !== undefined },
    )
    const headers = { 'x-bot': '1' }
    await user.post('/add')
    expect((await user.get('/items')).json().items).toHaveLength(1)
    expect((await user.get('/items', { headers })).json()).toEqual({ items: [], pin: { pinned: false } })
    expect((await user.post('/add', { headers })).setCookies).toEqual([])
    const visited = await user.get('/visit', { headers })
    expect(visited.setCookies).toEqual([])
    expect(visited.json()).toHaveLength(3)
  })
})
