import { type Kysely, sql } from 'kysely'
import { beforeAll, expect, test } from 'vitest'
import { type Database, poolOf } from '../support/cluster.ts'
import { type ExactShop, heldBy, pinOfAgent } from '../support/exact.ts'
import { useShop } from '../support/shop.ts'

// A text may begin a transaction that nobody ends: its session is closed when it is given back, so that no other statement gets into it.
// What a text that cannot be read has done to a transaction is told by the server.
const { cluster, open, serveShop } = useShop({
  sql: 'create table once (id int unique deferrable initially deferred); insert into once values (1)',
})
let db: Kysely<Database>
let shop: ExactShop

beforeAll(async () => {
  const primary = poolOf(cluster.primary)
  primary.options.max = 1
  db = open({ primary })
  shop = await serveShop(db, {}, async (routes) => {
    routes.post<{ Params: { work: string } }>('/do/:work', async ({ params }) => {
      await works[params.work]?.()
      return {}
    })
  })
})

const add = (on: Kysely<Database>) => on.insertInto('item').values({ name: 'x' }).execute()
const twice = (on: Kysely<Database>) => sql`insert into once values (1)`.execute(on)

const works: Record<string, () => Promise<unknown>> = {
  'a write': () => add(db),
  'a transaction': () => db.transaction().execute(add),
  'a begin that nobody ends': () => sql`begin`.execute(db),
  'a commit that is refused': () =>
    db.connection().execute(async (on) => {
      await sql`begin`.execute(on)
      await twice(on)
      await expect(sql`commit`.execute(on)).rejects.toThrow(/unique/)
    }),
  'a transaction that is refused': () => expect(db.transaction().execute(twice)).rejects.toThrow(/unique/),
  'a transaction that is rolled back': () =>
    expect(
      db.transaction().execute(async (trx) => {
        await add(trx)
        throw new Error('no')
      }),
    ).rejects.toThrow('no'),
  // With another setting of the server its backslash would have another meaning.
  'a text that cannot be read': () => sql.raw("select 'where we begin \\', '; --'").execute(db),
}

/** What the pin of a new user agent holds, for whom this was done. */
async function heldAfter(work: string) {
  const agent = shop.openAgent()
  expect((await agent.post(`/do/${encodeURIComponent(work)}`)).status).toBe(200)
  return heldBy(await pinOfAgent(agent))
}

const exact = expect.any(BigInt)

test('a commit of its own that the server refuses has ended a transaction that a text began', async () => {
  await heldAfter('a commit that is refused')
  expect(await heldAfter('a write')).toEqual(exact)
})

test.each(['a transaction', 'a transaction that is refused', 'a transaction that is rolled back'])(
  'of Kysely %s is not disturbed by one that a text began, or was taken to begin',
  async (work) => {
    for (const begins of ['a begin that nobody ends', 'a text that cannot be read']) {
      await heldAfter(begins)
      expect(await heldAfter('a write')).toEqual(exact)
      const held = await heldAfter(work)
      if (work === 'a transaction') expect(held).toEqual(exact)
      expect(await heldAfter('a write')).toEqual(exact)
    }
  },
)
