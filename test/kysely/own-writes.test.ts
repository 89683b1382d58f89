import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { markWrite, useNode, useReplica, withoutPin } from 'write-pinning'
import { type Database, openDatabase } from '../support/cluster.ts'
import { postgresVersion } from '../support/postgres-version.ts'
import { openRequest, type Request, routeAfter, whenCatalogIsRead } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db, read } = useShop({ sql: "insert into item (name) values ('first')" })
let request: Request

beforeAll(async () => {
  await cluster.replicas[0]?.pauseReplay()
  await whenCatalogIsRead(db)
})

beforeEach(() => {
  request = openRequest()
})

const names = async () => (await read()).map(({ name }) => name)
/** The route of a read after `fn`, in one request. */
const readAfter = (fn: () => unknown) => routeAfter(request, fn, read)

const OWN = 'primary: own-write'
const FREE = 'replica: read'

describe('after a write that took effect, the request reads from the primary', () => {
  test('and sees its own write, which the replica has not replayed', async () => {
    expect(await request.run(names)).toEqual(['first'])
    await request.run(() => db.insertInto('item').values({ name: 'own' }).execute())
    expect(await request.run(names)).toContain('own')
    expect(await request.run(() => useReplica(names))).toEqual(['first'])
    expect(await openRequest().run(names)).toEqual(['first'])
  })

  const effective: Record<string, () => Promise<unknown>> = {
    'an insert': () => db.insertInto('item').values({ name: 'a' }).execute(),
    'an update': () => db.updateTable('item').set({ name: 'first' }).where('name', '=', 'first').execute(),
    'a delete': () => db.deleteFrom('item').where('name', '=', 'a').execute(),
    ...(postgresVersion >= 15 && {
      'a merge': () =>
        db
          .mergeInto('item')
          .using('item as other', 'item.id', 'other.id')
          .whenMatched()
          .thenUpdateSet({ name: 'first' })
          .execute(),
    }),
    'raw SQL': () => sql`insert into item (name) values ('raw')`.execute(db),
    'a raw update': () => sql`update item set name = name`.execute(db),
    'a table made': () => db.schema.createTable('made').addColumn('id', 'integer').execute(),
    'an update of no row with a CTE that inserts': () =>
      db
        .with('new', (qc) => qc.insertInto('item').values({ name: 'b' }).returning('id'))
        .updateTable('item')
        .set({ name: 'c' })
        .where('id', '=', -1)
        .execute(),
    'a stream of insert … returning': async () => {
      for await (const _ of db.insertInto('item').values({ name: 'streamed' }).returningAll().stream());
    },
    'such a stream that its reader left': async () => {
      for await (const _ of db.insertInto('item').values({ name: 'left' }).returningAll().stream()) break
    },
    'markWrite()': async () => markWrite(),
    'a write in useReplica()': () => useReplica(() => db.insertInto('item').values({ name: 'd' }).execute()),
  }
  for (const [name, write] of Object.entries(effective)) {
    test(name, async () => {
      expect(await readAfter(write)).toBe(OWN)
    })
  }
})

describe('what tried to write and had no effect pins nobody, but the request reads from the primary after it', () => {
  const ineffective: Record<string, () => Promise<unknown>> = {
    'an update of no row': () => db.updateTable('item').set({ name: 'x' }).where('id', '=', -1).execute(),
    'a delete of no row': () => db.deleteFrom('item').where('id', '=', -1).execute(),
    ...(postgresVersion >= 15 && {
      'a merge of no row': () =>
        db
          .mergeInto('item')
          .using('item as other', (join) => join.onRef('item.id', '=', 'other.id').on('item.id', '=', -1))
          .whenMatched()
          .thenDelete()
          .execute(),
    }),
    'a raw update of no row': () => sql`UPDATE item SET name = 'x' WHERE id = -1`.execute(db),
    'a raw delete of no row': () => sql`delete from only public.item where id = -1`.execute(db),
    'an insert that the server refuses': async () => {
      const insert = db.insertInto('item').values({ id: 1, name: 'again' }).execute()
      await expect(insert).rejects.toMatchObject({ code: '23505' })
    },
    'an update that the server cancels': async () => {
      const update = sql`update item set name = 'x' where pg_sleep(10) is null`.execute(slow)
      await expect(update).rejects.toMatchObject({ code: '57014' })
    },
    'a transaction that rolls back': async () => {
      const transaction = db.transaction().execute(async (trx) => {
        await trx.insertInto('item').values({ name: 'undone' }).execute()
        throw new Error('changed my mind')
      })
      await expect(transaction).rejects.toThrow('changed my mind')
    },
    'a controlled transaction that rolls back': async () => {
      const trx = await db.startTransaction().execute()
      await trx.insertInto('item').values({ name: 'undone' }).execute()
      await trx.rollback().execute()
    },
    'a transaction whose commit the server refuses': async () => {
      const transaction = db.transaction().execute((trx) => sql`insert into child values (7)`.execute(trx))
      await expect(transaction).rejects.toMatchObject({ code: '23503' })
    },
    'a transaction that updates no row': () =>
      db
        .transaction()
        .execute((trx) => trx.updateTable('item').set({ name: 'x' }).where('id', '=', -1).execute()),
  }
  let slow: Kysely<Database>
  beforeAll(async () => {
    const { connectionString } = cluster.primary
    slow = openDatabase(cluster, { primary: { connectionString, statement_timeout: 50 } })
    await cluster.primary.query(
      'create table parent (id int primary key); create table child (id int references parent deferrable initially deferred)',
    )
  })
  afterAll(() => slow.destroy())

  for (const [name, run] of Object.entries(ineffective)) {
    test(name, async () => {
      expect(await readAfter(run)).toBe(OWN)
      expect(request.memory.wroteTo).toBeUndefined()
    })
  }
})

describe('what does not even try to write binds no read', () => {
  const harmless: Record<string, () => Promise<unknown>> = {
    'a locking read': () => db.selectFrom('item').selectAll().forUpdate().execute(),
    'a transaction that only reads': () =>
      db.transaction().execute((trx) => trx.selectFrom('item').selectAll().execute()),
    'a write that is refused before it is sent': () =>
      expect(useNode('replica-1', async () => db.deleteFrom('item').execute())).rejects.toMatchObject({
        code: 'ERR_WRITE_PINNING_WRITE_ON_REPLICA',
      }),
    'a write under withoutPin(), whatever it matches': () =>
      withoutPin(() => db.deleteFrom('item').where('id', '=', -1).execute()),
  }
  for (const [name, run] of Object.entries(harmless)) {
    test(name, async () => {
      expect(await readAfter(run)).toBe(FREE)
    })
  }
})

describe('in a transaction, a write counts once it is committed', () => {
  test('and not before, although the request is fresh from its first attempt on', async () => {
    const routes = await whereAndWhy(() =>
      request.run(() =>
        db.transaction().execute(async (trx) => {
          await trx.insertInto('item').values({ name: 'committed' }).execute()
          await read()
        }),
      ),
    )
    expect(routes).toEqual(['primary: transaction', OWN])
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
    expect(await readAfter(() => {})).toBe(OWN)
  })

  test('also where it is controlled by hand', async () => {
    await request.run(async () => {
      const trx = await db.startTransaction().execute()
      await trx.insertInto('item').values({ name: 'by hand' }).execute()
      expect(request.memory.wroteTo).toBeUndefined()
      await trx.commit().execute()
    })
    expect(await readAfter(() => {})).toBe(OWN)
  })

  test('for every request that wrote in it', async () => {
    const other = openRequest()
    const trx = await request.run(() => db.startTransaction().execute())
    await request.run(() => trx.insertInto('item').values({ name: 'mine' }).execute())
    await other.run(() => trx.insertInto('item').values({ name: 'yours' }).execute())
    await trx.commit().execute()
    expect(other.memory.wroteTo).toEqual(new Set(['default']))
    expect(await readAfter(() => {})).toBe(OWN)
  })
})

describe('two clusters', () => {
  test('do not bind each other', async () => {
    await using stock = openDatabase(cluster, { name: 'stock' })
    const routes = await whereAndWhy(() =>
      request.run(async () => {
        await stock.insertInto('item').values({ name: 'stock' }).execute()
        await read()
        await stock.selectFrom('item').selectAll().execute()
      }),
    )
    expect(routes).toEqual(['primary: write', FREE, OWN])
  })

  test('are both bound by markWrite(), which names none', async () => {
    await using stock = openDatabase(cluster, { name: 'stock' })
    const routes = await whereAndWhy(() =>
      request.run(async () => {
        markWrite()
        await read()
        await stock.selectFrom('item').selectAll().execute()
      }),
    )
    expect(routes).toEqual([OWN, OWN])
  })
})
