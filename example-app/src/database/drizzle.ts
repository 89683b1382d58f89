import { and, desc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { boolean, integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { nodesOf, type Servers } from './servers.ts'
import { MAX_QUANTITY, type ShopDatabase, type Wish } from './shop-database.ts'

const products = pgTable('products', {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  picture: text().notNull(),
  name: text().notNull(),
  maker: text().notNull(),
  blurb: text().notNull(),
  priceCents: integer('price_cents').notNull(),
})

const wishes = pgTable(
  'wishlist_items',
  {
    wishlist: uuid('wishlist_id').notNull(),
    product: integer('product_id').notNull(),
    quantity: integer().notNull().default(1),
    note: text().notNull().default(''),
    isGift: boolean('is_gift').notNull().default(false),
    addedAt: timestamp('added_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.wishlist, table.product] })],
)

const wish = { quantity: wishes.quantity, note: wishes.note, isGift: wishes.isGift }
const isWish = (wishlist: string, product: number) =>
  and(eq(wishes.wishlist, wishlist), eq(wishes.product, product))

/** Opens one pool over all servers, and Drizzle on top: each statement goes where it belongs. */
export function openWithDrizzle(servers: Servers): ShopDatabase {
  const pool = new PrimaryReplicaPool(nodesOf(servers))
  const db = drizzle({ client: pool })
  return {
    listProducts: async () => await db.select().from(products).orderBy(products.id),

    async findProduct(id) {
      const [product] = await db.select().from(products).where(eq(products.id, id))
      return product
    },

    listItems: async (wishlist) =>
      await db
        .select({ product: products, ...wish })
        .from(wishes)
        .innerJoin(products, eq(products.id, wishes.product))
        .where(eq(wishes.wishlist, wishlist))
        .orderBy(desc(wishes.addedAt)),

    async addItem(wishlist, product) {
      const [added] = await db
        .insert(wishes)
        .values({ wishlist, product })
        .onConflictDoUpdate({
          target: [wishes.wishlist, wishes.product],
          set: { quantity: sql`least(${wishes.quantity} + 1, ${MAX_QUANTITY})` },
        })
        .returning(wish)
      return added as Wish
    },

    async changeItem(wishlist, product, changes) {
      const [changed] = await db.update(wishes).set(changes).where(isWish(wishlist, product)).returning(wish)
      return changed
    },

    async removeItem(wishlist, product) {
      await db.delete(wishes).where(isWish(wishlist, product))
    },

    run: async (text) => (await pool.query(text)).rows,
    transaction: (work) =>
      db.transaction((transaction) => work(async (text) => (await transaction.execute(sql.raw(text))).rows)),
    close: () => pool.end(),
  }
}
