import { type Kysely, sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { capturePin, runWithPin, withoutPin } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { type ExactShop, heldBy, pinOfToken, SECRET } from '../support/exact.ts'
import { useShop } from '../support/shop.ts'

// A pin that is set anyway holds the position of all that its request may have written, whether that counts or not.
const { cluster, open, serveShop } = useShop()
let replica: PostgresNode
let db: Kysely<Database>
let shop: ExactShop
const exact = expect.any(BigInt)

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  for (const text of [
    'create table touched (name text)',
    `create function touch() returns trigger language plpgsql as
      $$ begin insert into touched values ('by a trigger'); return null; end $$`,
    'create trigger touch after update on item for each statement execute function touch()',
    'create function add() returns int language sql as $$ insert into touched values (null) returning 1 $$',
    // It is declared stable, so that it is taken for one that writes nothing.
    'create function look() returns int language sql stable as $$ select add() $$',
  ]) {
    await cluster.primary.query(text)
  }
})

beforeEach(async () => {
  await cluster.primary.query('truncate touched')
  await cluster.waitForCatchup()
  db = open({ unpinnedTables: ['session', 'touched'] })
  shop = await serveShop(db, {}, async (routes) => {
    routes.post('/do/:work', async (request) => {
      const { work } = request.params as { work: string }
      await works[work]?.()
      return {}
    })
    routes.get('/touched', async () => (await touched.execute(db)).rows[0]?.n)
  })
})

afterEach(() => replica.resumeReplay())

const touched = sql<{ n: number }>`select count(*)::int as n from touched`
/** Writes something that counts, and lets the replica have that and nothing more. */
const write = async () => {
  await db.insertInto('item').values({ name: 'counted' }).execute()
  await cluster.waitForCatchup()
  await replica.pauseReplay()
}
const touch = (on: Kysely<Database> = db) => sql`insert into touched values ('unpinned')`.execute(on)

const works: Record<string, () => Promise<unknown>> = {
  'a write to an unpinned table': async () => {
    await write()
    await touch()
  },
  'a stream that writes to an unpinned table': async () => {
    await write()
    const rows = db
      .withTables<{ touched: { name: string } }>()
      .insertInto('touched')
      .values({ name: 'x' })
      .returning('name')
      .stream()
    for await (const _ of rows);
  },
  'a transaction that writes to an unpinned table': async () => {
    await write()
    await db.transaction().execute(async (trx) => {
      await touch(trx)
    })
  },
  'a write under withoutPin()': async () => {
    await write()
    await withoutPin(() => touch())
  },
  'a transaction under withoutPin()': async () => {
    await write()
    await withoutPin(() => db.transaction().execute((trx) => touch(trx)))
  },
  'a transaction that began before what counts': async () => {
    const trx = await db.startTransaction().execute()
    await touch(trx)
    await write()
    await trx.commit().execute()
  },
  'an update of no row on a table with a trigger': async () => {
    await write()
    await db.updateTable('item').set({ name: 'x' }).where('id', '=', -1).execute()
  },
  'the same in a transaction': async () => {
    await write()
    await db
      .transaction()
      .execute((trx) => trx.updateTable('item').set({ name: 'x' }).where('id', '=', -1).execute())
  },
  'a locking read that calls a function': async () => {
    await write()
    await sql`select look() from item for update`.execute(db)
  },
  'a call that stays in the session, beside a function': async () => {
    await write()
    await sql`select set_config('work_mem', '8MB', true), look()`.execute(db)
  },
  'a prepared statement that writes to an unpinned table': async () => {
    await write()
    await db.connection().execute(async (on) => {
      await sql`prepare p as insert into touched values ('x')`.execute(on)
      await sql`execute p`.execute(on)
      await sql`deallocate p`.execute(on)
    })
  },
  'a raw transaction that writes to an unpinned table': async () => {
    await write()
    await db.connection().execute(async (on) => {
      await sql`begin`.execute(on)
      await touch(on)
      await sql`commit`.execute(on)
    })
  },
  'a raw transaction that began before what counts': () =>
    db.connection().execute(async (on) => {
      await sql`begin`.execute(on)
      await touch(on)
      await write()
      await sql`commit`.execute(on)
    }),
}

describe('the position of what counts covers', () => {
  for (const work of Object.keys(works)) {
    test(work, async () => {
      const agent = shop.openAgent()
      expect((await agent.post(`/do/${encodeURIComponent(work)}`)).status).toBe(200)
      const seen = (await agent.get('/touched')).json()
      expect(seen).toBeGreaterThan(0)
      expect(seen).toBe(
        (await cluster.primary.query<{ n: number }>('select count(*)::int as n from touched'))[0]?.n,
      )
    })
  }

  test('the same in a job', async () => {
    const token = await runWithPin(
      undefined,
      async () => {
        await works['a write to an unpinned table']?.()
        return await capturePin()
      },
      { secret: SECRET, pin: 'exact' },
    )
    expect(heldBy(pinOfToken(token))).toEqual(exact)
    const { rows } = await runWithPin(token, () => touched.execute(db), { secret: SECRET })
    expect(rows[0]?.n).toBe(1)
  })
})

test('what does not count sets no pin by itself, and asks for no position', async () => {
  const token = await runWithPin(
    undefined,
    async () => {
      await touch()
      await withoutPin(() => db.transaction().execute((trx) => touch(trx)))
      return await capturePin()
    },
    { secret: SECRET, pin: 'exact' },
  )
  expect(token).toBeUndefined()
})

test('what is known to write nothing leaves the position as it is', async () => {
  await runWithPin(
    undefined,
    async () => {
      await db.insertInto('item').values({ name: 'counted' }).execute()
      const before = heldBy(pinOfToken(await capturePin()))
      expect(before).toEqual(exact)
      await cluster.primary.query("insert into item (name) values ('of another')")
      await db.connection().execute(async (on) => {
        for (const text of [
          "set work_mem = '8MB'",
          'begin',
          'savepoint a',
          'lock table item',
          'rollback',
          'select 1',
        ])
          await sql.raw(text).execute(on)
      })
      expect(heldBy(pinOfToken(await capturePin()))).toBe(before)
    },
    { secret: SECRET, pin: 'exact' },
  )
})
