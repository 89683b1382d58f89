import { type Kysely, sql } from 'kysely'
import { beforeEach, expect, test, vi } from 'vitest'
import { type Database, openDatabase } from '../support/cluster.ts'
import { openRequest, type Request } from '../support/request.ts'
import { clientsOf } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

// A write whose outcome nobody knows counts: better a pin too many than a write that seems to have vanished.
const { cluster, db } = useShop({
  sql: [
    "insert into item (name) values ('first')",
    'create table slow (id int)',
    `create function sleep() returns trigger language plpgsql as 'begin perform pg_sleep(30); return null; end'`,
    // A commit that takes its time.
    `create constraint trigger slow_commit after insert on slow deferrable initially deferred
     for each row execute function sleep()`,
  ],
})
let request: Request

beforeEach(() => {
  request = openRequest()
})

const slowUpdate = (on: Kysely<Database>) =>
  on.updateTable('item').set({ name: 'unknown' }).where(sql<boolean>`pg_sleep(30) is not null`).execute()

/** The process id of the client whose running statement begins so, as soon as there is one. */
function runningOnPrimary(start: string): Promise<number> {
  return vi.waitFor(
    async () => {
      const clients = await clientsOf(cluster.primary)
      const found = clients.find(({ state, query }) => state === 'active' && query.startsWith(start))
      if (found === undefined) throw new Error(`nothing like ${start} is running`)
      return found.pid
    },
    { timeout: 10_000, interval: 10 },
  )
}

async function terminate(pid: number): Promise<void> {
  await cluster.primary.query('select pg_terminate_backend($1)', [pid])
}

test('an update whose backend is terminated counts', async () => {
  const update = request.run(() => slowUpdate(db))
  const failed = expect(update).rejects.toThrow(/terminat/)
  await terminate(await runningOnPrimary('update'))
  await failed
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
})

test('a transaction whose connection is lost at COMMIT counts', async () => {
  const transaction = request.run(() =>
    db.transaction().execute((trx) => sql`insert into slow values (1)`.execute(trx)),
  )
  const failed = expect(transaction).rejects.toThrow()
  await terminate(await runningOnPrimary('commit'))
  await failed
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
})

test('so does a controlled one', async () => {
  const trx = await request.run(() => db.startTransaction().execute())
  await request.run(() => sql`insert into slow values (1)`.execute(trx))
  const failed = expect(trx.commit().execute()).rejects.toThrow(/terminat/)
  await terminate(await runningOnPrimary('commit'))
  await failed
  await expect(trx.rollback().execute()).rejects.toThrow()
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
})

test('a transaction whose connection is lost before COMMIT does not: it cannot have been committed', async () => {
  const transaction = request.run(() =>
    db.transaction().execute(async (trx) => {
      await trx.insertInto('item').values({ name: 'lost' }).execute()
      await slowUpdate(trx)
    }),
  )
  const failed = expect(transaction).rejects.toThrow()
  await terminate(await runningOnPrimary('update'))
  await failed
  expect(request.memory.wroteTo).toBeUndefined()
})

test('a raw text that the server refuses may have committed some of its work, and counts', async () => {
  const text = sql`call committing()`
  await cluster.primary.query(
    `create procedure committing() language plpgsql as
     'begin insert into item (name) values (''halfway''); commit; perform 1 / 0; end'`,
  )
  await expect(request.run(() => text.execute(db))).rejects.toMatchObject({ code: '22012' })
  expect(await cluster.primary.query("select name from item where name = 'halfway'")).toHaveLength(1)
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
})

test('an insert that waits in the pool’s queue in vain was never sent, and does not count', async () => {
  const { connectionString } = cluster.primary
  await using narrow = openDatabase(cluster, {
    primary: { connectionString, max: 1, connectionTimeoutMillis: 500 },
  })
  await narrow.connection().execute(async (one) => {
    await sql`select 1`.execute(one)
    const insert = request.run(() => narrow.insertInto('item').values({ name: 'never sent' }).execute())
    await expect(insert).rejects.toThrow(/timeout/)
  })
  expect(request.memory.wroteTo).toBeUndefined()
})

test('an update whose server dies counts', async () => {
  const update = request.run(() => slowUpdate(db))
  const failed = expect(update).rejects.toThrow()
  await runningOnPrimary('update')
  await cluster.primary.kill()
  await failed
  await cluster.primary.start()
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
  expect(await db.selectFrom('item').selectAll().execute()).not.toEqual([])
})
