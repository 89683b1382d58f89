import { type Kysely, sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { useReplica } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase } from '../support/cluster.ts'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { kyselyVersion } from './kysely-version.ts'

const { cluster } = useShop()

// Each test begins with a replica that knows nothing of any migration, and learns nothing.
beforeEach(async () => {
  const replica = cluster.replicas[0] as PostgresNode
  await replica.resumeReplay()
  await cluster.primary.query(
    'drop table if exists wish, kysely_migration, kysely_migration_lock, migration, migration_lock',
  )
  await cluster.waitForCatchup()
  await replica.pauseReplay()
})

/** Kysely's migrator, as far as it is used here: 0.29 has it in an entry of its own. */
interface Migrator {
  getMigrations(): Promise<readonly { name: string; executedAt?: Date }[]>
  migrateToLatest(): Promise<MigrationResultSet>
  migrateTo(name: string): Promise<MigrationResultSet>
  migrateUp(): Promise<MigrationResultSet>
  migrateDown(): Promise<MigrationResultSet>
}
interface MigrationResultSet {
  readonly error?: unknown
  readonly results?: { migrationName: string; direction: string; status: string }[]
}
const { Migrator } = (await import(kyselyVersion === '0.28' ? 'kysely' : 'kysely/migration')) as {
  Migrator: new (props: object) => Migrator
}

// biome-ignore lint/suspicious/noExplicitAny: a migration knows no schema.
type AnyDb = Kysely<any>

function migratorOf(db: AnyDb, options: object = {}): Migrator {
  return new Migrator({
    db,
    provider: {
      getMigrations: async () => ({
        '1_table': {
          up: (on: AnyDb) => on.schema.createTable('wish').addColumn('name', 'text').execute(),
          down: (on: AnyDb) => on.schema.dropTable('wish').execute(),
        },
        '2_rows': {
          up: async (on: AnyDb) => {
            await on.insertInto('wish').values({ name: 'a kite' }).execute()
            // It reads what it has just written.
            const { rows } = await sql<{ name: string }>`select name from wish`.execute(on)
            await on
              .insertInto('wish')
              .values({ name: `${rows[0]?.name} more` })
              .execute()
          },
          down: async (on: AnyDb) => {
            const wishes = await on.selectFrom('wish').selectAll().execute()
            if (wishes.length !== 2) throw new Error(`${wishes.length} wishes`)
            await on.deleteFrom('wish').execute()
          },
        },
      }),
    },
    ...options,
  })
}

const outcome = ({ error, results }: MigrationResultSet) => {
  if (error !== undefined) throw error
  return results?.map(({ migrationName, direction, status }) => `${migrationName} ${direction} ${status}`)
}
const nameOf = (each: { name: string; executedAt?: Date }) => `${each.name}${each.executedAt ? ' done' : ''}`

async function migrateUpAndDown(db: AnyDb, options?: object): Promise<void> {
  const migrator = migratorOf(db, options)
  expect(outcome(await migrator.migrateToLatest())).toEqual(['1_table Up Success', '2_rows Up Success'])
  expect((await migrator.getMigrations()).map(nameOf)).toEqual(['1_table done', '2_rows done'])
  expect(outcome(await migrator.migrateToLatest())).toEqual([])
  expect(outcome(await migrator.migrateDown())).toEqual(['2_rows Down Success'])
  expect(outcome(await migrator.migrateTo('1_table'))).toEqual([])
  expect(outcome(await migrator.migrateDown())).toEqual(['1_table Down Success'])
  expect(outcome(await migrator.migrateUp())).toEqual(['1_table Up Success'])
}

describe('the migrator runs on the primary, all through, while no replica replays', () => {
  const settings: Record<
    string,
    [Partial<PrimaryReplicaDialectOptions>, (fn: () => Promise<void>) => Promise<void>]
  > = {
    'outside any request': [{}, (fn) => fn()],
    'in a request': [{}, inRequest],
    "with `withoutContext: 'replica'`": [{ withoutContext: 'replica' }, (fn) => fn()],
    'in useReplica()': [{}, useReplica],
  }
  for (const [name, [options, scope]] of Object.entries(settings)) {
    test(name, async () => {
      await using db = openDatabase(cluster, options)
      const routes = await routesOf(() => scope(() => migrateUpAndDown(db)))
      expect(new Set(routes.map(({ node }) => node))).toEqual(new Set(['primary']))
    })

    test(`${name}, without transactions`, async () => {
      await using db = openDatabase(cluster, options)
      const routes = await routesOf(() => scope(() => migrateUpAndDown(db, { disableTransactions: true })))
      expect(new Set(routes.map(({ node }) => node))).toEqual(new Set(['primary']))
    })
  }

  test('with tables of other names, where they are among `primaryTables`', async () => {
    await using db = openDatabase(cluster, {
      withoutContext: 'replica',
      primaryTables: ['migration', 'migration_lock'],
    })
    const names = { migrationTableName: 'migration', migrationLockTableName: 'migration_lock' }
    const routes = await routesOf(() => migrateUpAndDown(db, names))
    expect(new Set(routes.map(({ node }) => node))).toEqual(new Set(['primary']))
  })
})

test('introspection sees on the primary what no replica knows yet', async () => {
  await cluster.primary.query('create table wish (name text)')
  await cluster.primary.query('create schema if not exists wishes')
  await using db = openDatabase(cluster, { withoutContext: 'replica' })
  const look = async (on: Kysely<Database>) => {
    const { introspection } = on
    expect((await introspection.getSchemas()).map(({ name }) => name)).toContain('wishes')
    expect((await introspection.getTables()).map(({ name }) => name)).toContain('wish')
    if (kyselyVersion !== '0.28') return
    const old = introspection as unknown as { getMetadata(): Promise<{ tables: { name: string }[] }> }
    expect((await old.getMetadata()).tables.map(({ name }) => name)).toContain('wish')
  }
  await look(db)
  await inRequest(() => look(db))
  await useReplica(() => look(db))
  await useReplica(() => db.connection().execute(look))
})
