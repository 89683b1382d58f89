import { type Kysely, sql } from 'kysely'
import type { Database } from './database.ts'
import { createMigrator, type Migration } from './migrator.ts'
import { firstProducts } from './products.ts'

// A migration is frozen once it has run somewhere, so it knows nothing of today's `Database` type.
const migrations: Record<string, Migration> = {
  '001-products-and-wishlists': {
    async up(db) {
      await db.schema
        .createTable('products')
        .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
        .addColumn('picture', 'text', (column) => column.notNull().unique())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('maker', 'text', (column) => column.notNull())
        .addColumn('blurb', 'text', (column) => column.notNull())
        .addColumn('price_cents', 'integer', (column) => column.notNull().check(sql`price_cents > 0`))
        .execute()

      await db.schema
        .createTable('wishlist_items')
        .addColumn('wishlist_id', 'uuid', (column) => column.notNull())
        .addColumn('product_id', 'integer', (column) => column.notNull().references('products.id'))
        .addColumn('quantity', 'integer', (column) =>
          column.notNull().defaultTo(1).check(sql`quantity between 1 and 99`),
        )
        .addColumn('note', 'text', (column) => column.notNull().defaultTo(''))
        .addColumn('is_gift', 'boolean', (column) => column.notNull().defaultTo(false))
        .addColumn('added_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
        .addPrimaryKeyConstraint('wishlist_items_pkey', ['wishlist_id', 'product_id'])
        .execute()
    },
  },
  '002-first-products': {
    async up(db: Kysely<Pick<Database, 'products'>>) {
      await db
        .insertInto('products')
        .values([...firstProducts])
        .execute()
    },
  },
}

/** Brings the schema up to date and gives the names of the migrations that had to run. */
export async function migrate(db: Kysely<Database>): Promise<string[]> {
  const migrator = await createMigrator({ db, provider: { getMigrations: async () => migrations } })
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error) throw error
  return results.map((result) => result.migrationName)
}
