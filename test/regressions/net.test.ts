import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Kysely, sql } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ROUTE_CHANNEL, useNode } from 'write-pinning'
import { orPrimary, type PoolLike, toReplica } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { kyselyVersion } from '../kysely/kysely-version.ts'
import { type Database, openDatabase } from '../support/cluster.ts'
import { inRequest, openRequest, whereAndWhyInRequest } from '../support/request.ts'
import { inUse, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop()
let replica: PostgresNode
let db: Kysely<Database>
let primaryPool: ReturnType<typeof namedPool>
let replicaPool: ReturnType<typeof namedPool>
const functions = ['add', 'lock_and_add', 'raise']

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  for (const statement of [
    'create table once (name text primary key)',
    'create function add(text) returns text language sql as $$ insert into once values ($1) returning name $$',
    `create function lock_and_add(text) returns text language plpgsql as
       $$ begin perform pg_advisory_lock(9); return add($1); end $$`,
    `create function raise(code text) returns int language plpgsql as
       $$ begin raise exception 'raised' using errcode = code; end $$`,
  ]) {
    await cluster.primary.query(statement)
  }
  await cluster.waitForCatchup()
})

beforeEach(async () => {
  await cluster.primary.query('truncate once')
  await cluster.waitForCatchup()
  // With one connection each, whatever is not given back stops everything.
  primaryPool = namedPool(cluster.primary, 'net', { max: 1 })
  replicaPool = namedPool(replica, 'net', { max: 1 })
  db = openDatabase(cluster, { primary: primaryPool, replicas: [replicaPool], replicaFunctions: functions })
  return async () => {
    expect([inUse(primaryPool), inUse(replicaPool)]).toEqual([0, 0])
    await db.destroy()
  }
})

const added = async () =>
  (await cluster.primary.query<{ name: string }>('select name from once')).map(({ name }) => name)
const locks = (node: PostgresNode) => node.query("select 1 from pg_locks where locktype = 'advisory'")

describe('a refused statement', () => {
  test('in the middle of a connection moves it to the primary, where it stays', async () => {
    const routes = await whereAndWhyInRequest(() =>
      db.connection().execute(async (connection) => {
        await connection.selectFrom('item').selectAll().execute()
        await sql`select add('middle')`.execute(connection)
        await connection.selectNoFrom(sql`1`.as('one')).execute()
      }),
    )
    expect(routes).toEqual(['replica: read', 'replica: read', 'primary: refused', 'primary: own-write'])
    expect(await added()).toEqual(['middle'])
  })

  test('gives the error of the primary where that refuses it as well', async () => {
    await cluster.primary.query("insert into once values ('taken')")
    await expect(inRequest(() => sql`select add('taken')`.execute(db))).rejects.toMatchObject({
      code: '23505',
    })
    expect(await added()).toEqual(['taken'])
  })

  test('gives the error of a primary that cannot be reached, and keeps no connection', async () => {
    const dead: PoolLike = {
      connect: () => Promise.reject(new Error('no primary')),
      end: async () => {},
    }
    const half = openDatabase(cluster, {
      primary: dead,
      replicas: [namedPool(replica, 'half')],
      replicaFunctions: functions,
    })
    await expect(inRequest(() => sql`select add('half')`.execute(half))).rejects.toThrow('no primary')
    expect(await inRequest(() => half.selectFrom('item').selectAll().execute())).toEqual([])
    await half.destroy()
  })

  test('from many requests at once is done once for each, with one connection a node', async () => {
    const names = Array.from({ length: 20 }, (_, n) => `many ${n}`)
    await Promise.all(
      names.map((name) =>
        inRequest(async () => {
          await sql`select add(${name})`.execute(db)
          await sql`select sid from session`.$castTo<{ sid: string }>().execute(db)
          await orPrimary(sql`select sid from session`).execute(db)
        }),
      ),
    )
    expect((await added()).sort()).toEqual(names.sort())
  })

  test('marked for a replica is done once', async () => {
    const plain = openDatabase(cluster)
    expect(await whereAndWhyInRequest(() => toReplica(sql`select add('marked')`).execute(plain))).toEqual([
      'replica: mark',
      'primary: refused',
    ])
    expect(await added()).toEqual(['marked'])
    await plain.destroy()
  })
})

test.each(['25006', '0A000', '55000', '42P01'])('an error %s of the primary is no refusal', async (code) => {
  const { memory, run } = openRequest({ write: true })
  const sent: unknown[] = []
  const onRoute = (event: unknown) => sent.push(event)
  subscribe(ROUTE_CHANNEL, onRoute)
  await expect(run(() => sql`select raise(${code})`.execute(db))).rejects.toMatchObject({ code })
  unsubscribe(ROUTE_CHANNEL, onRoute)
  expect(sent).toHaveLength(1)
  expect(memory.wroteTo).toBeUndefined()
})

test('a malformed number is not tried once more', async () => {
  const routes = await whereAndWhyInRequest(() =>
    expect(sql`select 'abc'::int`.execute(db)).rejects.toMatchObject({ code: '22P02' }),
  )
  expect(routes).toEqual(['replica: read'])
})

describe('a stream that is refused behind its first row', () => {
  const stream = () =>
    db
      .selectFrom(sql<{ n: number }>`generate_series(1, 3)`.as<'n'>(sql`t(n)`) as never)
      .select(sql<string>`case when n > 1 then lock_and_add('row ' || n) end`.as('name'))
      .stream(1)

  test('fails, is not repeated, and leaves no lock', async () => {
    const rows: unknown[] = []
    const reading = inRequest(async () => {
      for await (const row of stream()) rows.push(row)
    })
    await expect(reading).rejects.toMatchObject({ code: '25006' })
    expect(rows).toEqual([{ name: null }])
    expect(await added()).toEqual([])
    await expect.poll(() => locks(replica)).toEqual([])
  })

  test('is known from then on', async () => {
    await inRequest(async () => {
      for await (const _row of stream());
    }).catch(() => {})
    expect(
      await whereAndWhyInRequest(async () => {
        for await (const _row of stream());
      }),
    ).toEqual(['primary: write'])
    expect((await added()).sort()).toEqual(['row 2', 'row 3'])
  })
})

test('a lock does not stay on a replica where the refusal is the caller’s to see', async () => {
  const attempts = [
    () => useNode('replica-1', () => sql`select lock_and_add('named')`.execute(db)),
    () =>
      inRequest(() =>
        db
          .transaction()
          .setAccessMode('read only')
          .execute((transaction) => sql`select lock_and_add('transaction')`.execute(transaction)),
      ),
  ]
  for (const attempt of attempts) {
    await expect(attempt()).rejects.toMatchObject({ code: '25006' })
    await expect.poll(() => locks(replica)).toEqual([])
  }
  expect(await added()).toEqual([])
})

describe('what is bound to the session, sent to a replica by name', () => {
  test('leaves no lock behind', async () => {
    await useNode('replica-1', () => sql`select pg_advisory_lock(9)`.execute(db))
    await useNode('replica-1', async () => {
      const lock = sql<string>`pg_advisory_lock(10)::text`
      for await (const _row of db.selectNoFrom(lock.as('locked')).stream());
    })
    await expect.poll(() => locks(replica)).toEqual([])
  })

  test('leaves no transaction open where the connection moves on', async () => {
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        const begun = useNode('replica-1', () => sql`begin`.execute(connection))
        await expect(begun).rejects.toMatchObject({ code: 'ERR_WRITE_PINNING_WRITE_ON_REPLICA' })
        await useNode('replica-1', () => sql`begin read only`.execute(connection))
        await sql`commit`.execute(connection)
        await sql`select add('moved')`.execute(connection)
      }),
    )
    expect(await added()).toEqual(['moved'])
    expect(await inRequest(() => db.selectFrom('item').selectAll().execute())).toEqual([])
  })
})

if (kyselyVersion !== '0.28')
  test.each(['ignore query', 'cancel query', 'kill session'])(
    'a refused statement that was aborted by "%s" does not run on the primary',
    async (strategy) => {
      const controller = new AbortController()
      const onRoute = () => controller.abort(new Error('given up'))
      subscribe(ROUTE_CHANNEL, onRoute)
      const options = { signal: controller.signal, inflightQueryAbortStrategy: strategy }
      const execute = sql`select add('aborted')`.execute as (...args: unknown[]) => Promise<unknown>
      const query = sql`select add('aborted')`
      await expect(inRequest(() => execute.call(query, db, options))).rejects.toThrow('given up')
      unsubscribe(ROUTE_CHANNEL, onRoute)
      await expect.poll(() => [inUse(primaryPool), inUse(replicaPool)]).toEqual([0, 0])
      expect(await added()).toEqual([])
    },
  )
