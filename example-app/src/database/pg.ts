import type { ClientBase, Pool } from 'pg'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { nodesOf, type Servers } from './servers.ts'
import { MAX_QUANTITY, type Product, type Run, type ShopDatabase, type Wish } from './shop-database.ts'

const PRODUCT = 'id, picture, name, maker, blurb, price_cents as "priceCents"'
const WISH = 'quantity, note, is_gift as "isGift"'

/** Opens one pool over all servers: each statement goes where it belongs. */
export function openWithPg(servers: Servers): ShopDatabase {
  const pool = new PrimaryReplicaPool(nodesOf(servers))
  return {
    async listProducts() {
      const { rows } = await pool.query<Product>(`select ${PRODUCT} from products order by id`)
      return rows
    },

    async findProduct(id) {
      const { rows } = await pool.query<Product>(`select ${PRODUCT} from products where id = $1`, [id])
      return rows[0]
    },

    async listItems(wishlist) {
      const { rows } = await pool.query<Product & Wish>(
        `select ${PRODUCT}, ${WISH}
          from wishlist_items join products on products.id = product_id
          where wishlist_id = $1
          order by added_at desc`,
        [wishlist],
      )
      return rows.map(({ quantity, note, isGift, ...product }) => ({ product, quantity, note, isGift }))
    },

    async addItem(wishlist, product) {
      const { rows } = await pool.query<Wish>(
        `insert into wishlist_items (wishlist_id, product_id) values ($1, $2)
          on conflict (wishlist_id, product_id)
            do update set quantity = least(wishlist_items.quantity + 1, ${MAX_QUANTITY})
          returning ${WISH}`,
        [wishlist, product],
      )
      return rows[0] as Wish
    },

    async changeItem(wishlist, product, { quantity, note, isGift }) {
      const { rows } = await pool.query<Wish>(
        `update wishlist_items set quantity = $3, note = $4, is_gift = $5
          where wishlist_id = $1 and product_id = $2
          returning ${WISH}`,
        [wishlist, product, quantity, note, isGift],
      )
      return rows[0]
    },

    async removeItem(wishlist, product) {
      await pool.query('delete from wishlist_items where wishlist_id = $1 and product_id = $2', [
        wishlist,
        product,
      ])
    },

    run: runOn(pool),
    async transaction(work) {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const result = await work(runOn(client))
        await client.query('commit')
        return result
      } catch (error) {
        await client.query('rollback')
        throw error
      } finally {
        client.release()
      }
    },
    close: () => pool.end(),
  }
}

function runOn(on: Pool | ClientBase): Run {
  return async (text) => (await on.query(text)).rows
}
