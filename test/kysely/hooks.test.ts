import { type DatabaseConnection, Kysely, PostgresDialect, sql } from 'kysely'
import { expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase, readItems } from '../support/cluster.ts'
import { inUse, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop()

/** Hooks that say when they are called, and that use their connection. */
function recordingHooks() {
  const calls: string[] = []
  const record = (name: string) => async (connection: DatabaseConnection) => {
    const { rows } = await connection.executeQuery<{ it: boolean }>(
      sql<{ it: boolean }>`select pg_is_in_recovery() as it`.compile(compiler),
    )
    calls.push(`${name}: ${rows[0]?.it ? 'replica' : 'primary'}`)
  }
  return { calls, onCreateConnection: record('create'), onReserveConnection: record('reserve') }
}

// Only compiles; it never connects.
const compiler = new Kysely<Database>({ dialect: new PostgresDialect({ pool: {} as never }) })

function openSmall(options: Partial<PrimaryReplicaDialectOptions>) {
  const primary = namedPool(cluster.primary, 'hooks', { max: 1 })
  const replica = namedPool(cluster.replicas[0] as PostgresNode, 'hooks', { max: 1 })
  return { primary, replica, db: openDatabase(cluster, { primary, replicas: [replica], ...options }) }
}

test('the hooks are called as Kysely calls them: once per connection made, and once per connection taken', async () => {
  const { calls, ...hooks } = recordingHooks()
  await using db = openSmall(hooks).db
  await usePrimary(() => readItems(db))
  await usePrimary(() => readItems(db))

  const { calls: theirCalls, ...theirHooks } = recordingHooks()
  const pool = namedPool(cluster.primary, 'theirs', { max: 1 })
  await using plain = new Kysely<Database>({ dialect: new PostgresDialect({ pool, ...theirHooks }) })
  await readItems(plain)
  await readItems(plain)
  expect(calls).toEqual(theirCalls)
  expect(calls).toEqual(['create: primary', 'reserve: primary', 'reserve: primary'])
})

test('they are called on each node that a connection comes to', async () => {
  const { calls, ...hooks } = recordingHooks()
  await using db = openSmall(hooks).db
  await useReplica(() =>
    db.connection().execute(async (one) => {
      await readItems(one)
      await readItems(one)
      await one.deleteFrom('item').execute()
    }),
  )
  expect(calls).toEqual(['create: replica', 'reserve: replica', 'create: primary', 'reserve: primary'])
})

for (const hook of ['onCreateConnection', 'onReserveConnection'] as const) {
  test(`where ${hook} throws, the statement fails, and no client is lost`, async () => {
    let failures = 3
    const failing = async () => {
      if (failures-- > 0) throw new Error(`${hook} failed`)
    }
    const { db, primary, replica } = openSmall({ [hook]: failing })
    await using _ = db
    await expect(usePrimary(() => readItems(db))).rejects.toThrow(`${hook} failed`)
    await expect(useReplica(() => readItems(db))).rejects.toThrow(`${hook} failed`)
    await expect(db.transaction().execute(readItems)).rejects.toThrow(`${hook} failed`)
    await usePrimary(() => readItems(db))
    await useReplica(() => readItems(db))
    await db.transaction().execute(readItems)
    expect([inUse(primary), inUse(replica)]).toEqual([0, 0])
  })
}

test('where a hook throws in the middle of a move, nothing is left checked out', async () => {
  let failures = 1
  const onReserveConnection = async (connection: DatabaseConnection) => {
    const { rows } = await connection.executeQuery<{ it: boolean }>(
      sql<{ it: boolean }>`select pg_is_in_recovery() as it`.compile(compiler),
    )
    if (!rows[0]?.it && failures-- > 0) throw new Error('not on the primary')
  }
  const { db, primary, replica } = openSmall({ onReserveConnection })
  await using _ = db
  const moving = useReplica(() =>
    db.connection().execute(async (one) => {
      await readItems(one)
      const failed = await one
        .deleteFrom('item')
        .execute()
        .catch((error: Error) => error.message)
      await readItems(one)
      await one.deleteFrom('item').execute()
      return failed
    }),
  )
  expect(await moving).toBe('not on the primary')
  expect([inUse(primary), inUse(replica)]).toEqual([0, 0])
})
