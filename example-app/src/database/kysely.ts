import { type Generated, Kysely, type RawBuilder, sql } from 'kysely'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { nodesOf, type Servers } from './servers.ts'
import { MAX_QUANTITY, type Run, type ShopDatabase } from './shop-database.ts'

interface Tables {
  products: {
    id: Generated<number>
    picture: string
    name: string
    maker: string
    blurb: string
    price_cents: number
  }
  wishlist_items: {
    wishlist_id: string
    product_id: number
    quantity: Generated<number>
    note: Generated<string>
    is_gift: Generated<boolean>
    added_at: Generated<Date>
  }
}

const productColumns = ['id', 'picture', 'name', 'maker', 'blurb', 'price_cents as priceCents'] as const
const wishColumns = ['quantity', 'note', 'is_gift as isGift'] as const

/** Opens one Kysely over all servers: writes go to the primary, reads to a replica that is fresh enough. */
export function openWithKysely(servers: Servers): ShopDatabase {
  const db = new Kysely<Tables>({ dialect: new PrimaryReplicaDialect(nodesOf(servers)) })
  return {
    listProducts: () => db.selectFrom('products').select(productColumns).orderBy('id').execute(),

    findProduct: (id) =>
      db.selectFrom('products').select(productColumns).where('id', '=', id).executeTakeFirst(),

    async listItems(wishlist) {
      const rows = await db
        .selectFrom('wishlist_items')
        .innerJoin('products', 'products.id', 'wishlist_items.product_id')
        .select([...productColumns, ...wishColumns])
        .where('wishlist_id', '=', wishlist)
        .orderBy('added_at', 'desc')
        .execute()
      return rows.map(({ quantity, note, isGift, ...product }) => ({ product, quantity, note, isGift }))
    },

    addItem: (wishlist, product) =>
      db
        .insertInto('wishlist_items')
        .values({ wishlist_id: wishlist, product_id: product })
        .onConflict((conflict) =>
          conflict.columns(['wishlist_id', 'product_id']).doUpdateSet({
            quantity: sql`least(wishlist_items.quantity + 1, ${sql.lit(MAX_QUANTITY)})`,
          }),
        )
        .returning(wishColumns)
        .executeTakeFirstOrThrow(),

    changeItem: (wishlist, product, { quantity, note, isGift }) =>
      db
        .updateTable('wishlist_items')
        .set({ quantity, note, is_gift: isGift })
        .where('wishlist_id', '=', wishlist)
        .where('product_id', '=', product)
        .returning(wishColumns)
        .executeTakeFirst(),

    async removeItem(wishlist, product) {
      await db
        .deleteFrom('wishlist_items')
        .where('wishlist_id', '=', wishlist)
        .where('product_id', '=', product)
        .execute()
    },

    run: runOn(db),
    transaction: (work) => db.transaction().execute((transaction) => work(runOn(transaction))),
    close: () => db.destroy(),
  }
}

function runOn(db: Kysely<Tables>): Run {
  return async (text) => (await (sql.raw(text) as RawBuilder<Record<string, unknown>>).execute(db)).rows
}
