import { type Kysely, sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { usePrimary, useReplica, withoutPin } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase, readItems } from '../support/cluster.ts'
import { inRequest, openRequest, whenCatalogIsRead } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { inUse, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db } = useShop({
  sql: "insert into item (name) select 'item ' || n from generate_series(1, 10) n",
})
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  await replica.pauseReplay()
})

const add = (on: Kysely<Database>, name: string) => on.insertInto('item').values({ name }).execute()

describe('a connection taken with db.connection()', () => {
  test('moves to the primary at the first write, and stays there', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        db.connection().execute(async (one) => {
          await readItems(one)
          await add(one, 'moved')
          expect((await readItems(one)).map(({ name }) => name)).toContain('moved')
          await useReplica(() => readItems(one))
        }),
      ),
    )
    expect(routes).toEqual([
      'replica: read',
      'primary: write',
      'primary: own-write',
      'primary: same-connection',
    ])
  })

  test('stays on the primary after a write that does not count, too: what it left in the session is there', async () => {
    await whenCatalogIsRead(db)
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        db.connection().execute(async (one) => {
          await withoutPin(() =>
            one.updateTable('item').set({ name: 'nobody' }).where('id', '=', -1).execute(),
          )
          await readItems(one)
          await sql`set application_name = 'mine'`.execute(one)
          const { rows } = await sql`select current_setting('application_name') as name`.execute(one)
          expect(rows).toEqual([{ name: 'mine' }])
        }),
      ),
    )
    expect(routes.slice(0, 2)).toEqual(['primary: write', 'primary: same-connection'])
  })

  test('keeps one backend of the replica as long as it stays there', async () => {
    const pids = await inRequest(() =>
      db.connection().execute(async (one) => {
        const pidOf = async () =>
          (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(one)).rows[0]?.pid
        return [await pidOf(), await pidOf(), await pidOf()]
      }),
    )
    expect(new Set(pids).size).toBe(1)
  })

  test('moves where a scope asks for more than its node can give', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        db.connection().execute(async (one) => {
          await readItems(one)
          await usePrimary(() => readItems(one))
          await readItems(one)
          await one.selectFrom('item').selectAll().forUpdate().execute()
        }),
      ),
    )
    expect(routes).toEqual([
      'replica: read',
      'primary: use-primary',
      'primary: same-connection',
      'primary: locking',
    ])
  })

  test('gives back what it left behind when it moves, and at its end', async () => {
    const primaryPool = namedPool(cluster.primary, 'pools', { max: 1 })
    const replicaPool = namedPool(replica, 'pools', { max: 1 })
    await using own = openDatabase(cluster, {
      primary: primaryPool,
      replicas: [replicaPool],
      // It is late, and this database has not known it for long.
      lagSource: () => 0,
    })
    await inRequest(() =>
      own.connection().execute(async (one) => {
        await readItems(one)
        expect([inUse(primaryPool), inUse(replicaPool)]).toEqual([0, 1])
        await add(one, 'moved')
        expect([inUse(primaryPool), inUse(replicaPool)]).toEqual([1, 0])
      }),
    )
    expect([inUse(primaryPool), inUse(replicaPool)]).toEqual([0, 0])
  })

  test('takes no backend where it runs nothing', async () => {
    const pool = namedPool(cluster.primary, 'idle')
    await using own = openDatabase(cluster, { primary: pool })
    await own.connection().execute(async () => {})
    expect(pool.totalCount).toBe(0)
  })
})

describe('a stream', () => {
  const stream = (chunk = 3) => db.selectFrom('item').selectAll().orderBy('id').stream(chunk)

  test('reads from a replica, or from the primary under a pin', async () => {
    const readAll = async () => {
      const ids: number[] = []
      for await (const { id } of stream()) ids.push(id)
      return ids.slice(0, 10)
    }
    const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
    const all = Array.from({ length: 10 }, (_, index) => index + 1)
    const routes = await whereAndWhy(async () => {
      expect(await inRequest(readAll)).toEqual(all)
      expect(await pinned.run(readAll)).toEqual(all)
    })
    expect(routes).toEqual(['replica: read', 'primary: pin'])
  })

  test('gives its connection back at its end, when its reader leaves, and when its reader or its query fails', async () => {
    const primaryPool = namedPool(cluster.primary, 'streams', { max: 1 })
    const replicaPool = namedPool(replica, 'streams', { max: 1 })
    await using own = openDatabase(cluster, {
      primary: primaryPool,
      replicas: [replicaPool],
      // It is late, and this database has not known it for long.
      lagSource: () => 0,
    })
    const rows = () => own.selectFrom('item').selectAll().stream(2)
    const readers: (() => Promise<unknown>)[] = [
      async () => {
        for await (const _ of rows());
      },
      async () => {
        for await (const _ of rows()) break
      },
      async () => {
        for await (const _ of rows()) throw new Error('reader')
      },
      async () => {
        const broken = own.selectFrom('item').select(sql<number>`1 / (id - 4)`.as('x')).orderBy('id')
        for await (const _ of broken.stream(2));
      },
      async () => {
        for await (const _ of rows()) expect(inUse(replicaPool) + inUse(primaryPool)).toBe(1)
      },
    ]
    for (const scope of [useReplica, usePrimary]) {
      const results = []
      for (const reader of readers) results.push(await scope(reader).catch((error: Error) => error.message))
      expect(results).toEqual([undefined, undefined, 'reader', 'division by zero', undefined])
      // The one connection of the pool can still be had, and is a sound one.
      await scope(() => readItems(own))
      expect([inUse(primaryPool), inUse(replicaPool)]).toEqual([0, 0])
      expect(primaryPool.totalCount + replicaPool.totalCount).toBe(scope === useReplica ? 1 : 2)
    }
  })

  test('of insert … returning writes on the primary', async () => {
    const routes = await routesOf(() =>
      inRequest(async () => {
        const ids: number[] = []
        const rows = [{ name: 'one' }, { name: 'two' }, { name: 'three' }]
        for await (const { id } of db.insertInto('item').values(rows).returning('id').stream(1)) ids.push(id)
        expect(ids).toHaveLength(3)
      }),
    )
    expect(routes).toMatchObject([{ role: 'primary', reason: 'write', write: true }])
  })

  test('on a connection makes later statements wait for its end', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        db.connection().execute(async (one) => {
          let seen = 0
          let inserted: Promise<unknown> | undefined
          for await (const _ of one.selectFrom('item').selectAll().stream(2)) {
            seen++
            inserted ??= add(one, 'after the stream')
          }
          expect(seen).toBeGreaterThanOrEqual(10)
          await inserted
        }),
      ),
    )
    expect(routes).toEqual(['replica: read', 'primary: write'])
  })

  test('runs within a transaction, on its node', async () => {
    const routes = await whereAndWhy(() =>
      db.transaction().execute(async (trx) => {
        await add(trx, 'streamed')
        const names: string[] = []
        for await (const { name } of trx.selectFrom('item').selectAll().stream(4)) names.push(name)
        expect(names).toContain('streamed')
      }),
    )
    expect(routes).toEqual(['primary: transaction', 'primary: transaction'])
  })

  test('without the option `cursor` fails as it does with Kysely’s own dialect', async () => {
    await using own = openDatabase(cluster, { cursor: undefined as never })
    const reading = async () => {
      for await (const _ of own.selectFrom('item').selectAll().stream());
    }
    await expect(reading()).rejects.toThrow(/cursor.* is not present/)
    expect(await readItems(own)).not.toEqual([])
  })
})
