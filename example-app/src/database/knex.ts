import knexOf, { type Knex } from 'knex'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { connectionsOf, nodesOf, type Servers } from './servers.ts'
import { MAX_QUANTITY, type Product, type Run, type ShopDatabase, type Wish } from './shop-database.ts'

const PRODUCT = ['id', 'picture', 'name', 'maker', 'blurb', 'price_cents as priceCents']
const WISH = ['quantity', 'note', 'is_gift as isGift']

/** Opens one pool over all servers, and Knex on top: each statement goes where it belongs. */
export function openWithKnex(servers: Servers): ShopDatabase {
  const pool = new PrimaryReplicaPool(nodesOf(servers))
  const db = knexOf({ client: knexClient(pool), pool: { min: 0, max: connectionsOf(servers) } })
  const wishes = (wishlist: string) => db('wishlist_items').where({ wishlist_id: wishlist })
  return {
    // Knex sends a query when it is awaited. So await it here, within the request.
    listProducts: async () => await db('products').select<Product[]>(PRODUCT).orderBy('id'),

    findProduct: async (id) => await db('products').select<Product[]>(PRODUCT).where({ id }).first(),

    async listItems(wishlist) {
      const rows: (Product & Wish)[] = await wishes(wishlist)
        .join('products', 'products.id', 'product_id')
        .select([...PRODUCT, ...WISH])
        .orderBy('added_at', 'desc')
      return rows.map(({ quantity, note, isGift, ...product }) => ({ product, quantity, note, isGift }))
    },

    async addItem(wishlist, product) {
      const [added] = await db('wishlist_items')
        .insert({ wishlist_id: wishlist, product_id: product })
        .onConflict(['wishlist_id', 'product_id'])
        .merge({ quantity: db.raw('least(wishlist_items.quantity + 1, ?)', [MAX_QUANTITY]) })
        .returning(WISH)
      return added as Wish
    },

    async changeItem(wishlist, product, { quantity, note, isGift }) {
      const [changed] = await wishes(wishlist)
        .where({ product_id: product })
        .update({ quantity, note, is_gift: isGift })
        .returning(WISH)
      return changed as Wish | undefined
    },

    async removeItem(wishlist, product) {
      await wishes(wishlist).where({ product_id: product }).delete()
    },

    run: runOn(db),
    transaction: (work) => db.transaction((transaction) => work(runOn(transaction))),
    async close() {
      await db.destroy()
      await pool.end()
    },
  }
}

function runOn(on: Knex): Run {
  // In Knex, a question mark is a placeholder.
  return async (text) => (await on.raw(text.replaceAll('?', '\\?'))).rows
}
