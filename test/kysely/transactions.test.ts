import { type Kysely, sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { type Database, openDatabase } from '../support/cluster.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db } = useShop({ replicas: 2, sql: "insert into item (name) values ('first')" })

beforeAll(async () => {
  for (const replica of cluster.replicas) await replica.pauseReplay()
})

const namesIn = async (on: Kysely<Database>) =>
  (await on.selectFrom('item').select('name').orderBy('id').execute()).map(({ name }) => name)
const isRecovering = async (on: Kysely<Database>) =>
  (await on.selectNoFrom(sql<boolean>`pg_is_in_recovery()`.as('it')).executeTakeFirstOrThrow()).it
const add = (on: Kysely<Database>, name: string) => on.insertInto('item').values({ name }).execute()
const remove = (name: string) => db.deleteFrom('item').where('name', '=', name).execute()

test('a transaction reads its own writes while no replica replays', async () => {
  const routes = await whereAndWhy(() =>
    inRequest(() =>
      db.transaction().execute(async (trx) => {
        expect(await namesIn(trx)).not.toContain('own')
        await add(trx, 'own')
        expect(await namesIn(trx)).toContain('own')
        expect(await useReplica(() => namesIn(trx))).toContain('own')
      }),
    ),
  )
  expect(routes).toEqual(Array.from({ length: 4 }, () => 'primary: transaction'))
  expect(await inRequest(() => namesIn(db))).not.toContain('own')
  await remove('own')
})

describe('a read-only transaction', () => {
  const readOnly = (isolation?: 'serializable' | 'repeatable read') => {
    const transaction = db.transaction().setAccessMode('read only')
    return isolation === undefined ? transaction : transaction.setIsolationLevel(isolation)
  }
  const readThrice = (isolation?: 'serializable' | 'repeatable read') =>
    readOnly(isolation).execute(async (trx) => {
      for (let i = 0; i < 3; i++) await namesIn(trx)
    })
  const nodesOf = async (fn: () => unknown) => (await routesOf(fn)).map(({ node }) => node)

  test('reads from one replica all through', async () => {
    const first = await nodesOf(() => inRequest(() => readThrice()))
    const second = await nodesOf(() => inRequest(() => readThrice('repeatable read')))
    expect(first).toHaveLength(3)
    expect(new Set(first).size).toBe(1)
    expect(new Set(second).size).toBe(1)
    expect([...first, ...second].every((node) => node.startsWith('replica-'))).toBe(true)
  })

  test('reads from the primary under a pin, after a write, in usePrimary() and without a context', async () => {
    const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
    const onPrimary = ['primary', 'primary', 'primary']
    expect(await nodesOf(() => pinned.run(() => readThrice()))).toEqual(onPrimary)
    expect(await nodesOf(() => openRequest({ write: true }).run(() => readThrice()))).toEqual(onPrimary)
    expect(await nodesOf(() => usePrimary(() => readThrice()))).toEqual(onPrimary)
    expect(await nodesOf(() => readThrice())).toEqual(onPrimary)
  })

  test('reads from the primary where it is serializable, which no replica can be', async () => {
    expect(await nodesOf(() => inRequest(() => readThrice('serializable')))).toEqual(Array(3).fill('primary'))
  })

  test('stays where it is when the request writes meanwhile', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        readOnly().execute(async (trx) => {
          await namesIn(trx)
          await add(db, 'meanwhile')
          await namesIn(trx)
        }),
      ),
    )
    expect(routes).toEqual(['replica: transaction', 'primary: write', 'replica: transaction'])
    await remove('meanwhile')
  })

  test('is read-only, on a replica and on the primary', async () => {
    for (const scope of [useReplica, usePrimary]) {
      const writing = scope(() => readOnly().execute((trx) => add(trx, 'refused')))
      await expect(writing).rejects.toMatchObject({ code: '25006' })
    }
    expect(await usePrimary(() => namesIn(db))).not.toContain('refused')
  })

  test('may be controlled by hand', async () => {
    await inRequest(async () => {
      const trx = await db.startTransaction().setAccessMode('read only').execute()
      expect(await isRecovering(trx)).toBe(true)
      const inner = await trx.savepoint('here').execute()
      expect(await isRecovering(inner)).toBe(true)
      await inner.rollbackToSavepoint('here').execute()
      await trx.commit().execute()
    })
  })
})

describe('a controlled transaction', () => {
  test('goes back to its savepoints', async () => {
    const trx = await db.startTransaction().execute()
    await add(trx, 'kept')
    const one = await trx.savepoint('one').execute()
    await add(one, 'undone')
    const two = await one.savepoint('two').execute()
    await add(two, 'undone too')
    expect(await namesIn(two)).toEqual(['first', 'kept', 'undone', 'undone too'])
    await two.rollbackToSavepoint('two').execute()
    expect(await namesIn(two)).toEqual(['first', 'kept', 'undone'])
    await two.rollbackToSavepoint('one').execute()
    const three = await trx.savepoint('three').execute()
    await add(three, 'kept too')
    await three.releaseSavepoint('three').execute()
    await trx.commit().execute()
    expect(await usePrimary(() => namesIn(db))).toEqual(['first', 'kept', 'kept too'])
    await remove('kept')
    await remove('kept too')
  })

  test('survives an error behind a savepoint', async () => {
    const trx = await db.startTransaction().execute()
    const safe = await trx.savepoint('safe').execute()
    await expect(sql`select 1 / 0`.execute(safe)).rejects.toMatchObject({ code: '22012' })
    await expect(namesIn(safe)).rejects.toMatchObject({ code: '25P02' })
    await safe.rollbackToSavepoint('safe').execute()
    expect(await namesIn(trx)).toEqual(['first'])
    await trx.rollback().execute()
  })

  test('undoes everything', async () => {
    const trx = await db.startTransaction().setIsolationLevel('repeatable read').execute()
    await add(trx, 'undone')
    await trx.rollback().execute()
    expect(await usePrimary(() => namesIn(db))).toEqual(['first'])
  })
})

test('a transaction on a connection that was on a replica moves to the primary, and stays there', async () => {
  const nodes = await routesOf(() =>
    inRequest(() =>
      db.connection().execute(async (one) => {
        await namesIn(one)
        await one.transaction().execute((trx) => add(trx, 'nested'))
        expect(await namesIn(one)).toContain('nested')
        await one.transaction().setAccessMode('read only').execute(namesIn)
      }),
    ),
  )
  expect(nodes.map(({ role }) => role)).toEqual(['replica', 'primary', 'primary', 'primary'])
  await remove('nested')
})

test('an isolation level and an access mode reach the server', async () => {
  const settings = await db
    .transaction()
    .setIsolationLevel('serializable')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const { rows } = await sql<Record<string, string>>`
        select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as is_read_only
      `.execute(trx)
      return rows[0]
    })
  expect(settings).toEqual({ isolation: 'serializable', is_read_only: 'on' })
})

test('a commit that the server refuses surfaces, and the connection is fit for the next one', async () => {
  await cluster.primary.query(
    'create table parent (id int primary key); create table child (id int references parent deferrable initially deferred)',
  )
  await using single = openDatabase(cluster, {
    primary: { connectionString: cluster.primary.connectionString, max: 1 },
  })
  const pidOf = async () =>
    (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(single)).rows[0]?.pid
  const pid = await usePrimary(pidOf)
  const violating = single.transaction().execute((trx) => sql`insert into child values (1)`.execute(trx))
  await expect(violating).rejects.toMatchObject({ code: '23503' })
  const trx = await single.startTransaction().execute()
  await sql`insert into child values (1)`.execute(trx)
  await expect(trx.commit().execute()).rejects.toMatchObject({ code: '23503' })
  await trx.rollback().execute()
  expect(await usePrimary(pidOf)).toBe(pid)
})
