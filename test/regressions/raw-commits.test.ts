import { type ControlledTransaction, type Kysely, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { Database } from '../support/cluster.ts'
import { openRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Within Kysely's transaction a text commits or rolls back by itself. Kysely rolls back afterwards, which takes nothing of that back.
const { cluster, db } = useShop({
  sql: 'create table once (id int unique deferrable initially deferred); insert into once values (1)',
})

const run = (on: Kysely<Database>, text: string) => sql.raw(text).execute(on)
const add = (on: Kysely<Database>) => on.insertInto('item').values({ name: 'x' }).execute()

/** Runs `work` in a transaction that is rolled back then: how many items are left of it, and whether that counts as a write. */
async function afterRollback(work: (trx: Kysely<Database>) => Promise<unknown>) {
  await cluster.primary.query('truncate item')
  const request = openRequest()
  const trx = await request.run(() => db.startTransaction().execute())
  await request.run(() => work(trx))
  await request.run(() => trx.rollback().execute())
  const items = (await cluster.primary.query('select from item')).length
  return { items, counts: request.memory.wroteTo?.has('default') === true }
}

describe('what is committed in a transaction that is rolled back later counts: before', () => {
  test.each([
    'commit',
    'commit and chain',
    'END',
    'commit; begin',
    'rollback to savepoint here; commit and chain',
    'select 1; commit',
  ])('%s', async (text) => {
    const work = async (trx: Kysely<Database>) => {
      await add(trx)
      await run(trx, 'savepoint here')
      await run(trx, text)
    }
    expect(await afterRollback(work)).toEqual({ items: 1, counts: true })
  })

  test('a text that fails behind its commit', async () => {
    const work = async (trx: Kysely<Database>) => {
      await add(trx)
      await expect(run(trx, 'commit; select 1 / 0')).rejects.toThrow(/zero/)
    }
    expect(await afterRollback(work)).toEqual({ items: 1, counts: true })
  })
})

test('a text that cannot be read, and has a commit in it, counts, and so does what is written behind it', async () => {
  // With another setting of the server the backslash would have another meaning.
  const text = "select 'x\\', '; --'; commit"
  const before = async (trx: Kysely<Database>) => {
    await add(trx)
    await run(trx, text)
  }
  expect(await afterRollback(before)).toEqual({ items: 1, counts: true })
  const behind = async (trx: Kysely<Database>) => {
    await run(trx, text)
    await add(trx)
  }
  expect(await afterRollback(behind)).toEqual({ items: 1, counts: true })
})

describe('what is written in a text that commits counts', () => {
  test.each([
    "insert into item (name) values ('x'); commit",
    "insert into item (name) values ('x'); commit; begin",
  ])('%s', async (text) => {
    expect(await afterRollback((trx) => run(trx, text))).toEqual({ items: 1, counts: true })
  })
})

describe('what is written where a text has ended the transaction is committed at once, and counts: after', () => {
  test.each(['commit', 'rollback', 'select 1; abort'])('%s', async (text) => {
    const work = async (trx: Kysely<Database>) => {
      await run(trx, text)
      await add(trx)
    }
    expect(await afterRollback(work)).toEqual({ items: 1, counts: true })
  })

  test('a commit that the server refuses', async () => {
    const work = async (trx: Kysely<Database>) => {
      await run(trx, "set local app.x = 'x'")
      await sql`insert into once values (1)`.execute(trx)
      await expect(run(trx, 'commit')).rejects.toThrow(/unique/)
      await add(trx)
    }
    expect(await afterRollback(work)).toEqual({ items: 1, counts: true })
  })
})

test('what is written where the server has refused the commit of Kysely is committed at once, and counts', async () => {
  const work = async (trx: Kysely<Database>) => {
    await sql`insert into once values (1)`.execute(trx)
    await expect((trx as ControlledTransaction<Database>).commit().execute()).rejects.toThrow(/unique/)
    await add(trx)
  }
  expect(await afterRollback(work)).toEqual({ items: 1, counts: true })
})

describe('what is rolled back with its transaction does not count: after', () => {
  test.each(['rollback and chain', 'rollback; begin', 'savepoint here', 'begin', 'commit and chain'])(
    '%s',
    async (text) => {
      const work = async (trx: Kysely<Database>) => {
        await run(trx, text)
        await add(trx)
      }
      expect(await afterRollback(work)).toEqual({ items: 0, counts: false })
    },
  )

  test('a rollback by a text', async () => {
    const work = async (trx: Kysely<Database>) => {
      await add(trx)
      await run(trx, 'rollback')
    }
    expect(await afterRollback(work)).toEqual({ items: 0, counts: false })
  })
})
