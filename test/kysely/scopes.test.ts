import { type Kysely, sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { useNode, usePrimary, useReplica, withoutPin } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase } from '../support/cluster.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { clientsOf, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'

const { cluster, db, read } = useShop()
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  await replica.pauseReplay()
})

const insert = () => db.insertInto('item').values({ name: 'a' }).execute()

describe('a statement in a scope', () => {
  test('goes where the innermost scope says', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        await usePrimary(async () => {
          await read()
          await useReplica(read)
          await read()
        })
        await useReplica(async () => {
          await read()
          await usePrimary(read)
          await useNode('primary', read)
          await read()
        })
        await read()
      }),
    )
    expect(routes).toEqual([
      'primary: use-primary',
      'replica: use-replica',
      'primary: use-primary',
      'replica: use-replica',
      'primary: use-primary',
      'primary: use-node',
      'replica: use-replica',
      'replica: read',
    ])
  })

  test('reads a replica in useReplica() even under a pin and after a write', async () => {
    const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000, write: true })
    const routes = await whereAndWhy(() =>
      pinned.run(async () => {
        await useReplica(insert)
        await useReplica(read)
        await read()
      }),
    )
    expect(routes).toEqual(['primary: write', 'replica: use-replica', 'primary: write-request'])
  })

  test('finds its way in concurrent branches of one request', async () => {
    const many = (scope: typeof usePrimary) =>
      scope(() => Promise.all(Array.from({ length: 20 }, () => whereAndWhyOf(scope))))
    const whereAndWhyOf = async (scope: typeof usePrimary) => {
      const { recovering } = await db
        .selectNoFrom(sql<boolean>`pg_is_in_recovery()`.as('recovering'))
        .executeTakeFirstOrThrow()
      return recovering === (scope === useReplica)
    }
    const answers = await inRequest(() => Promise.all([many(usePrimary), many(useReplica)]))
    expect(answers.flat()).toEqual(Array.from({ length: 40 }, () => true))
  })

  test('that throws, leaves the scope', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        await expect(usePrimary(() => sql`select 1 / 0`.execute(db))).rejects.toThrow('division by zero')
        await read()
      }),
    )
    expect(routes).toEqual(['primary: use-primary', 'replica: read'])
  })

  test('wrapped, is in the scope at each call', async () => {
    const readFresh = usePrimary.wrap(read)
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        await readFresh()
        await read()
        await readFresh()
      }),
    )
    expect(routes).toEqual(['primary: use-primary', 'replica: read', 'primary: use-primary'])
  })

  test('a stream that is returned from a scope keeps it', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        for await (const _ of usePrimary(() => db.selectFrom('item').selectAll().stream())) break
        for await (const _ of await useReplica(async () => db.selectFrom('item').selectAll().stream())) break
      }),
    )
    expect(routes).toEqual(['primary: use-primary', 'replica: use-replica'])
  })
})

describe('a query that is returned without having been executed', () => {
  const queries: Record<string, () => unknown> = {
    'a select': () => db.selectFrom('item').selectAll(),
    'an insert': () => db.insertInto('item').values({ name: 'never' }),
    'an update': () => db.updateTable('item').set({ name: 'never' }),
    'a delete': () => db.deleteFrom('item'),
    'raw SQL': () => sql`select 1`,
    'a table to be made': () => db.schema.createTable('never'),
    'a transaction': () => db.transaction().setIsolationLevel('serializable'),
    'a controlled transaction': () => db.startTransaction(),
  }
  for (const [name, query] of Object.entries(queries)) {
    test(`(${name}) is an error`, async () => {
      expect(() => usePrimary(query)).toThrow(/has not been executed/)
      expect(await codeOf(() => usePrimary(async () => query()))).toBe('ERR_WRITE_PINNING_NOT_EXECUTED')
      expect(await codeOf(usePrimary.wrap(query))).toBe('ERR_WRITE_PINNING_NOT_EXECUTED')
      expect(await codeOf(() => useNode('replica-1', query))).toBe('ERR_WRITE_PINNING_NOT_EXECUTED')
    })
  }
})

describe('in useNode() with a replica’s name', () => {
  test('reads go there, under a pin too, and tables of `primaryTables` as well', async () => {
    await using other = openDatabase(cluster, { primaryTables: ['session'] })
    const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
    const routes = await whereAndWhy(() =>
      pinned.run(() =>
        useNode('replica-1', async () => {
          await other.selectFrom('item').selectAll().execute()
          await other.selectFrom('session').selectAll().execute()
        }),
      ),
    )
    expect(routes).toEqual(['replica: use-node', 'replica: use-node'])
  })

  const refused: Record<string, (on: Kysely<Database>) => Promise<unknown>> = {
    'a write': (on) => on.insertInto('item').values({ name: 'refused' }).execute(),
    'a raw write': (on) => sql`update item set name = 'refused'`.execute(on),
    'a writing CTE': (on) =>
      on
        .with('new', (qc) => qc.insertInto('item').values({ name: 'refused' }).returningAll())
        .selectFrom('new')
        .selectAll()
        .execute(),
    'a locking read': (on) => on.selectFrom('item').selectAll().forUpdate().execute(),
    'a transaction': (on) => on.transaction().execute((trx) => trx.selectFrom('item').selectAll().execute()),
    'a controlled transaction': (on) => on.startTransaction().execute(),
    'a serializable transaction': (on) =>
      on
        .transaction()
        .setAccessMode('read only')
        .setIsolationLevel('serializable')
        .execute((trx) => trx.selectFrom('item').selectAll().execute()),
    'a streamed write': async (on) => {
      for await (const _ of on.insertInto('item').values({ name: 'refused' }).returningAll().stream());
    },
  }
  for (const [name, run] of Object.entries(refused)) {
    test(`${name} is refused before it reaches any server`, async () => {
      await using own = openDatabase(cluster, {
        primary: namedPool(cluster.primary, 'own'),
        replicas: [namedPool(replica, 'own')],
      })
      // One backend on each node, whose last statement is known: the server itself says what came after it.
      await useNode('replica-1', () => sql`select 'the last statement'`.execute(own))
      await usePrimary(() => sql`select 'the last statement'`.execute(own))
      expect(await codeOf(() => useNode('replica-1', () => run(own)))).toBe(
        'ERR_WRITE_PINNING_WRITE_ON_REPLICA',
      )
      for (const node of cluster.nodes) {
        const statements = (await clientsOf(node, 'own')).map(({ query }) => query)
        expect(statements).toEqual(["select 'the last statement'"])
      }
    })
  }

  test('a read-only transaction runs there', async () => {
    const recovering = await useNode('replica-1', () =>
      db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) =>
          trx.selectNoFrom(sql<boolean>`pg_is_in_recovery()`.as('it')).executeTakeFirstOrThrow(),
        ),
    )
    expect(recovering).toEqual({ it: true })
  })

  test('a write is done where usePrimary() is inside', async () => {
    const routes = await whereAndWhy(() => useNode('replica-1', () => usePrimary(insert)))
    expect(routes).toEqual(['primary: write'])
  })
})

test('in useNode() with the primary’s name, writes and transactions run', async () => {
  const routes = await whereAndWhy(() =>
    useNode('primary', async () => {
      await insert()
      await db.transaction().execute((trx) => trx.selectFrom('item').selectAll().forUpdate().execute())
    }),
  )
  expect(routes).toEqual(['primary: write', 'primary: transaction'])
})

test('a node that no cluster has is an error at the first statement, a read or a write', async () => {
  const runs: (() => unknown)[] = [read, insert, () => db.transaction().execute(read)]
  for (const run of runs) {
    expect(await codeOf(() => useNode('reporting', run))).toBe('ERR_WRITE_PINNING_UNKNOWN_NODE')
  }
})

test('withoutPin() changes nothing about where statements go', async () => {
  const routes = await whereAndWhy(() =>
    inRequest(async () => {
      await withoutPin(insert)
      await withoutPin(read)
      await usePrimary(() => withoutPin(read))
    }),
  )
  expect(routes).toEqual(['primary: write', 'replica: read', 'primary: use-primary'])
})
