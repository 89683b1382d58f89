import { Readable } from 'node:stream'
import { type FastifyInstance, fastify } from 'fastify'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, it } from 'vitest'
import { markWrite, usePrimary, useReplica, withoutPin } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { pinCookie } from '../support/http.ts'
import { whenCatalogIsRead } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const { cluster, db, read, insert, listen, atEnd } = useShop({ isLate: true, dialect: { cursor: Cursor } })

const update = () => db.updateTable('item').set({ name: 'lamp' }).where('id', '=', -1).execute()

async function pinningApp(options: WritePinningOptions = {}): Promise<FastifyInstance> {
  const app = fastify()
  await app.register(writePinning, options)
  return app
}

/** A client that was connected outside every request: its callbacks run in none. */
async function sharedClient(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: cluster.primary.connectionString })
  atEnd(() => client.end())
  await client.connect()
  return client
}

describe('a context that a callback of a shared client has lost', () => {
  it.each(['preValidation', 'preHandler'] as const)('in %s is there again in the handler', async (hook) => {
    const app = await pinningApp()
    const client = await sharedClient()
    const goOn = (_request: unknown, _reply: unknown, done: () => void) =>
      void client.query('select 1', () => done())
    app.addHook(hook as 'preHandler', goOn)
    app.get('/items', read)
    app.get('/visit', () => insert())
    app.get('/own', { [hook]: goOn }, () => insert())
    const user = (await listen(app))()
    expect(await whereAndWhy(() => user.get('/items'))).toEqual(['replica: read'])
    expect(pinCookie(await user.get('/visit'))).toBeDefined()
    expect(pinCookie(await user.get('/own'))).toBeDefined()
    expect(await whereAndWhy(() => user.get('/items'))).toEqual(['primary: pin'])
  })

  it('is there again in onError and in the error handler', async () => {
    const app = await pinningApp()
    const client = await sharedClient()
    app.setErrorHandler(async (_error, _request, reply) => {
      await insert()
      return reply.code(500).send('sorry')
    })
    app.get('/', (_request, reply) => void client.query('select 1', () => reply.send(new Error('no'))))
    expect(pinCookie(await (await listen(app))().get('/'))).toBeDefined()
  })
})

describe('a scope around a hook of callbacks', () => {
  it('ends before the handler', async () => {
    const app = await pinningApp()
    app.addHook(
      'onRequest',
      withoutPin.wrap(
        (_request: unknown, _reply: unknown, done: () => void) => void read().then(() => done()),
      ),
    )
    app.addHook(
      'preHandler',
      useReplica.wrap(
        (_request: unknown, _reply: unknown, done: () => void) => void read().then(() => done()),
      ),
    )
    app.get('/', async () => {
      await insert()
      return read()
    })
    const user = (await listen(app))()
    const routes = await whereAndWhy(async () => expect(pinCookie(await user.get('/'))).toBeDefined())
    expect(routes).toEqual(['replica: read', 'replica: use-replica', 'primary: write', 'primary: own-write'])
  })
})

describe('a context whose first write comes after its response', () => {
  it('reads its own write for as long as a pin lasts, and no longer', async () => {
    const app = await pinningApp({ pinningSeconds: 1 })
    const answered = withResolvers<void>()
    let later: Promise<void> | undefined
    app.get('/', async () => {
      later = answered.promise.then(async () => {
        await insert()
        expect(await whereAndWhy(read)).toEqual(['primary: own-write'])
        await expect.poll(() => whereAndWhy(read), { timeout: 3_000 }).toEqual(['replica: read'])
      })
      return 'done'
    })
    app.addHook('onResponse', async () => answered.resolve())
    await (await listen(app))().get('/')
    await later
  })

  it.each([
    ['has written', insert],
    ['has tried to write, and matched nothing', update],
  ])(
    'and one that %s, and streams on, reads the primary no longer than a pin lasts',
    async (_what, write) => {
      await whenCatalogIsRead(db)
      const app = await pinningApp({ pinningSeconds: 1 })
      let streamed: Promise<unknown> | undefined
      app.get('/', async (_request, reply) => {
        reply.hijack()
        await write()
        reply.raw.flushHeaders()
        expect(await whereAndWhy(read)).toEqual(['primary: own-write'])
        streamed = expect.poll(() => whereAndWhy(read), { timeout: 3_000 }).toEqual(['replica: read'])
        void streamed.catch(() => {}).then(() => reply.raw.end('done'))
      })
      expect((await (await listen(app))().get('/')).body).toBe('done')
      await streamed
    },
  )
})

describe('a header full of forged pins', () => {
  it('costs a few signatures, and one line in the log', async () => {
    const lines: string[] = []
    const app = fastify({ logger: { level: 'debug', stream: { write: (line) => void lines.push(line) } } })
    await app.register(writePinning, { secret: 'a secret of at least thirty-two characters' })
    app.get('/', async () => 'done')
    const until = Date.now() + 10_000
    const forged = Array.from(
      { length: 200 },
      (_, index) => `write_pin=1t${(until + index).toString(36)}.${'A'.repeat(43)}`,
    )
    const answer = await (await listen(app))().get('/', { headers: { cookie: forged.join('; ') } })
    expect(answer.status).toBe(200)
    expect(lines.filter((line) => line.includes('pinning cookie'))).toHaveLength(1)
  })
})

describe('a plugin that is registered in a child first, and then at the root', () => {
  it('serves the child by its own registration only', async () => {
    const app = fastify()
    await app.register(async (child) => {
      await child.register(writePinning, { cookie: { name: 'child_pin' } })
      child.post('/child', async () => 'done')
    })
    await app.register(writePinning)
    app.post('/', async () => 'done')
    const user = (await listen(app))()
    expect((await user.post('/child')).setCookies).toEqual([expect.stringMatching(/^child_pin=/)])
    expect((await user.post('/')).setCookies).toEqual([expect.stringMatching(/^write_pin=/)])
  })
})

describe('what a scope returns', () => {
  it('is read inside it, be it a Readable', async () => {
    const stream = usePrimary(() => Readable.from(db.selectFrom('item').selectAll().stream(10)))
    const routes = await whereAndWhy(async () => {
      for await (const _row of stream) throw new Error('there is no row')
    })
    expect(routes).toEqual(['primary: use-primary'])
  })

  it('is refused where it is a list of queries that have not been executed', () => {
    expect(() => usePrimary(() => [db.selectFrom('item').selectAll()])).toThrowError(
      expect.objectContaining({ code: 'ERR_WRITE_PINNING_NOT_EXECUTED' }),
    )
  })
})

describe('markWrite()', () => {
  it('outside any request does nothing', () => {
    expect(() => markWrite()).not.toThrow()
  })
})
