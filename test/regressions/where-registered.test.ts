import express5, { type RequestHandler } from 'express'
import express4 from 'express4'
import { fastify } from 'fastify'
import { CompiledQuery, type Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { capturePin, runWithPin, usePrimary, withoutPin } from 'write-pinning'
import { writePinning as pinningOfExpress } from 'write-pinning/express'
import { writePinning } from 'write-pinning/fastify'
import type { Database } from '../support/cluster.ts'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { inRequest, whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { messagesOf, warningsOf } from '../support/warnings.ts'

// The order matters: whether a request was ever opened is a fact of the process, and a test file has its own.
// Every database warns for itself, once.
const { open, listen } = useShop()

const OUTSIDE = 'WRITE_PINNING_WRITE_WITHOUT_CONTEXT'
const MANY = 1_000

const insert = (db: Kysely<Database>) => db.insertInto('item').values({ name: 'lamp' }).execute()
const read = (db: Kysely<Database>) => db.selectFrom('item').select('id').limit(1).execute()

async function often(times: number, fn: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < times; i++) await fn()
}

async function inRawTransaction(db: Kysely<Database>): Promise<void> {
  await db.executeQuery(CompiledQuery.raw('begin'))
  await insert(db)
  await db.executeQuery(CompiledQuery.raw('commit'))
}

async function consume(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _row of rows);
}

let sessions = 0
const sid = () => `session ${sessions++}`

test('a write before any request is opened, such as a migration, is nothing to warn of', async () => {
  const db = open()
  expect(await warningsOf(() => insert(db))).toEqual([])
  expect(await warningsOf(() => db.transaction().execute(insert))).toEqual([])
})

/** An application whose plugin sees only what is below `/api`. */
type Start = (db: Kysely<Database>) => Promise<UserAgent>

const inChildOfFastify: Start = async (db) => {
  const app = fastify()
  await app.register(
    async (child) => {
      await child.register(writePinning)
      child.get('/items', () => read(db))
      child.get('/', async () => 'no statement')
      child.post('/items', () => insert(db))
    },
    { prefix: '/api' },
  )
  app.get('/items', () => read(db))
  app.post('/items', () => insert(db))
  app.post('/orders', () => db.transaction().execute(insert))
  return (await listen(app))()
}

function underPathOfExpress(express: typeof express5): Start {
  return async (db) => {
    const answer =
      (fn: () => Promise<unknown>): RequestHandler =>
      (_request, response, next) => {
        fn().then(() => response.send('done'), next)
      }
    const app = express()
    app.use('/api', pinningOfExpress())
    for (const path of ['/api/items', '/items']) {
      app.get(
        path,
        answer(() => read(db)),
      )
      app.post(
        path,
        answer(() => insert(db)),
      )
    }
    app.get(
      '/api',
      answer(async () => {}),
    )
    app.post(
      '/orders',
      answer(() => db.transaction().execute(insert)),
    )
    return (await listen(app))()
  }
}

describe.each<[string, Start]>([
  ['a child of Fastify', inChildOfFastify],
  ["a path of Express 4's", underPathOfExpress(express4)],
  ["a path of Express 5's", underPathOfExpress(express5)],
])('a plugin that is registered in %s', (_where, start) => {
  test('does not pin a POST elsewhere, and one warning says so, and where it belongs', async () => {
    const user = await start(open())
    const ofInside = await messagesOf(async () => {
      expect(pinCookie(await user.post('/api/items'))).toBeDefined()
    })
    expect(ofInside).toEqual([])
    const ofOutside = await messagesOf(async () => {
      for (let i = 0; i < 2; i++) expect(pinCookie(await user.post('/items'))).toBeUndefined()
    })
    expect(ofOutside).toEqual([expect.stringContaining("A write of cluster 'default' ran outside")])
    expect(ofOutside[0]).toContain('`await app.register(writePinning)` at the root')
    expect(ofOutside[0]).toContain('`app.use(writePinning())`')
  })

  test('nor one that writes in a transaction', async () => {
    const user = await start(open())
    expect(await warningsOf(() => user.get('/api'))).toEqual([])
    expect(await warningsOf(() => user.post('/orders'))).toEqual([OUTSIDE])
  })

  test('is warned of where many reads run outside, and none inside', async () => {
    const db = open()
    const user = await start(db)
    await user.get('/api')
    await often(MANY - 1, () => read(db))
    const messages = await messagesOf(async () => {
      await user.get('/items')
      await user.get('/items')
    })
    expect(messages).toEqual([expect.stringContaining('no statement of this cluster ran inside one')])
    expect(messages[0]).toContain('`await app.register(writePinning)` at the root')
    expect(messages[0]).toContain('`app.use(writePinning())`')
    expect(await warningsOf(() => often(MANY, () => read(db)))).toEqual([])
  })

  test('is not warned of for the sake of reads where one ran inside', async () => {
    const db = open()
    const user = await start(db)
    await user.get('/api/items')
    expect(await warningsOf(() => often(MANY, () => read(db)))).toEqual([])
  })
})

describe('once a request was opened, a write outside', () => {
  test.each<[string, (db: Kysely<Database>) => Promise<unknown>]>([
    [
      'by its own text',
      (db) => db.executeQuery(CompiledQuery.raw("insert into item (name) values ('lamp')")),
    ],
    [
      'that is streamed',
      (db) => consume(db.insertInto('item').values({ name: 'lamp' }).returning('id').stream()),
    ],
    ['in a transaction', (db) => db.transaction().execute(insert)],
    ['in a transaction by its own text', (db) => db.connection().execute(inRawTransaction)],
    ['in `usePrimary()`, which is no request', (db) => usePrimary(() => insert(db))],
  ])('%s is warned of once', async (_how, write) => {
    await inRequest(async () => {})
    const db = open()
    expect(await warningsOf(() => write(db))).toEqual([OUTSIDE])
    expect(await warningsOf(() => write(db))).toEqual([])
  })

  test.each<[string, (db: Kysely<Database>) => Promise<unknown>]>([
    ['of no row', (db) => db.deleteFrom('item').where('id', '=', 0).execute()],
    ['to an unpinned table', (db) => db.insertInto('session').values({ sid: sid(), data: '' }).execute()],
    ['of a job', (db) => runWithPin(undefined, () => insert(db))],
    ['of a job, in a transaction', (db) => runWithPin(undefined, () => db.transaction().execute(insert))],
    ['in `withoutPin()`', (db) => withoutPin(() => insert(db))],
    ['in `withoutPin()`, in a transaction', (db) => withoutPin(() => db.transaction().execute(insert))],
    ['of a request, after a wait', (db) => inRequest(() => capturePin().then(() => insert(db)))],
  ])('%s is not', async (_how, write) => {
    await inRequest(async () => {})
    const db = open({ unpinnedTables: ['session'] })
    await whenCatalogIsRead(db)
    expect(await warningsOf(() => write(db))).toEqual([])
  })

  test('is not, where there is no replica that could miss it', async () => {
    await inRequest(async () => {})
    const db = open({ replicas: [] })
    expect(await warningsOf(() => insert(db))).toEqual(['WRITE_PINNING_NO_REPLICAS'])
  })

  test('of each cluster is warned of by its name', async () => {
    await inRequest(async () => {})
    const [shop, stock] = [open(), open({ name: 'stock' })]
    const messages = await messagesOf(() => Promise.all([insert(shop), insert(stock)]))
    expect(messages.map((message) => /cluster '(\w+)'/.exec(message)?.[1]).sort()).toEqual([
      'default',
      'stock',
    ])
  })
})

describe('once a request was opened, many reads outside', () => {
  test.each<[string, (db: Kysely<Database>) => Promise<unknown>]>([
    ['a transaction', (db) => inRequest(() => db.transaction().execute(read))],
    ['a write', (db) => inRequest(() => insert(db))],
    ['a job', (db) => runWithPin(undefined, () => read(db))],
  ])('are not warned of where %s ran inside', async (_what, inside) => {
    const db = open()
    await inside(db)
    expect(await warningsOf(() => often(MANY, () => read(db)))).toEqual([])
  })

  test("are warned of where only another cluster's ran inside", async () => {
    const [shop, stock] = [open(), open({ name: 'stock' })]
    await inRequest(() => read(shop))
    expect(await warningsOf(() => often(MANY, () => read(stock)))).toEqual(['WRITE_PINNING_NO_CONTEXT'])
  })
})
