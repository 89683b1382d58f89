import { type Kysely, sql, type Transaction } from 'kysely'
import Cursor from 'pg-cursor'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { usePrimary, WritePinningError } from 'write-pinning'
import type { Database } from '../support/cluster.ts'
import { sees, seesOn } from '../support/exact.ts'
import { inRequest, whenCatalogIsRead } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// A connection to the primary is lost under what has written nothing: nobody needs to hear of it.
const { cluster, open, serveShop, atEnd } = useShop()
let proxy: TcpProxy
let db: Kysely<Database>

beforeEach(async () => {
  proxy = await TcpProxy.start(cluster.primary)
  atEnd(() => proxy.stop())
  db = open({ primary: proxy.connectionString, cursor: Cursor })
})

afterEach(async () => {
  for (const replica of cluster.replicas) await replica.resumeReplay()
})

const one = sql<{ one: number }>`select 1 as one`
const reads: [string, (on: Kysely<Database>) => Promise<unknown>, unknown][] = [
  ['a statement', async (on) => (await one.execute(on)).rows, [{ one: 1 }]],
  [
    'a stream',
    async (on) => {
      for await (const row of on.selectNoFrom(sql<number>`1`.as('one')).stream()) return [row]
      return []
    },
    [{ one: 1 }],
  ],
]

describe.each(reads)('%s that is read from the primary', (_what, read, rows) => {
  test.each(['delivered', 'lost'] as const)(
    'runs once more where its connection was lost (%s)',
    async (message) => {
      const cut = proxy.cutWhen((bytes) => /select 1( as "?one"?)?/i.test(String(bytes)), message)
      expect(await usePrimary(() => read(db))).toEqual(rows)
      await cut
    },
  )

  test('surfaces with its error where something may have been left in the session', async () => {
    await expect(
      usePrimary(() =>
        db.connection().execute(async (on) => {
          await sql`set statement_timeout = '60s'`.execute(on)
          const cut = proxy.cutWhen((bytes) => /select 1( as "?one"?)?/i.test(String(bytes)))
          await Promise.all([cut, read(on)])
        }),
      ),
    ).rejects.toThrow(/terminated|ECONNRESET/)
  })
})

test('a read that a pin holds on the primary runs there once more, where no replica has what it demands', async () => {
  const { openAgent } = await serveShop(db)
  const agent = openAgent()
  await cluster.replicas[0]?.pauseReplay()
  await agent.post('/items/pinned')
  expect(await seesOn(agent, 'pinned')).toEqual([true, 'primary'])
  const cut = proxy.cutWhen((bytes) => bytes.includes('from "item" where'))
  const routes = await routesOf(async () => expect(await sees(agent, 'pinned')).toBe(true))
  await cut
  expect(routes.map(({ node }) => node)).toEqual(['primary', 'primary'])
})

test('a write whose connection is lost is not sent again', async () => {
  const cut = proxy.cutWhen((bytes) => bytes.includes('insert into'))
  const writing = db.insertInto('item').values({ name: 'once' }).execute()
  await expect(Promise.all([cut, writing])).rejects.toThrow(/terminated|ECONNRESET/)
})

describe('a transaction', () => {
  // The catalog is read in transactions of its own, over the same proxy.
  beforeEach(() => inRequest(() => whenCatalogIsRead(db)))

  const inPrimary = (run: (trx: Transaction<Database>) => Promise<unknown>) =>
    usePrimary(() => db.transaction().setAccessMode('read only').execute(run))

  test('of which the connection is lost as it begins begins on another one', async () => {
    const cut = proxy.cutWhen((bytes) => /begin|start transaction/i.test(String(bytes)))
    expect(await inPrimary(async (trx) => (await one.execute(trx)).rows)).toEqual([{ one: 1 }])
    await cut
  })

  test('that is read only has no unknown outcome where the connection is lost as it commits', async () => {
    const cut = proxy.cutWhen((bytes) => bytes.includes('commit\0'))
    const error = await inPrimary((trx) => one.execute(trx)).catch((thrown: unknown) => thrown)
    expect(error).not.toBeInstanceOf(WritePinningError)
    expect(String(error)).toMatch(/terminated|ECONNRESET/)
    await cut
  })

  test('that was begun read only and may have been made one that writes has', async () => {
    const cut = proxy.cutWhen((bytes) => bytes.includes('commit\0'))
    const writing = inPrimary(async (trx) => {
      await sql`set transaction read write`.execute(trx)
      await trx.insertInto('item').values({ name: 'unknown' }).execute()
    })
    await expect(writing).rejects.toMatchObject({ code: 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME' })
    await cut
  })
})
