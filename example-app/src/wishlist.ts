import { type Kysely, sql } from 'kysely'
import type { Database } from './database.ts'

export interface Product {
  id: number
  picture: string
  name: string
  maker: string
  blurb: string
  priceCents: number
}

/** What a browser may say about a product that it wishes for. */
export interface Wish {
  quantity: number
  note: string
  isGift: boolean
}

export interface WishlistItem extends Wish {
  product: Product
}

export const MAX_QUANTITY = 99

const productColumns = ['id', 'picture', 'name', 'maker', 'blurb', 'price_cents as priceCents'] as const
const wishColumns = ['quantity', 'note', 'is_gift as isGift'] as const

export function listProducts(db: Kysely<Database>): Promise<Product[]> {
  return db.selectFrom('products').select(productColumns).orderBy('id').execute()
}

export function findProduct(db: Kysely<Database>, id: number): Promise<Product | undefined> {
  return db.selectFrom('products').select(productColumns).where('id', '=', id).executeTakeFirst()
}

/** The newest wish first. */
export async function listItems(db: Kysely<Database>, wishlist: string): Promise<WishlistItem[]> {
  const rows = await db
    .selectFrom('wishlist_items')
    .innerJoin('products', 'products.id', 'wishlist_items.product_id')
    .select([...productColumns, ...wishColumns])
    .where('wishlist_id', '=', wishlist)
    .orderBy('added_at', 'desc')
    .execute()
  return rows.map(({ quantity, note, isGift, ...product }) => ({ product, quantity, note, isGift }))
}

/** Adds a product; one that is on the list already is wished for once more. */
export function addItem(db: Kysely<Database>, wishlist: string, product: number): Promise<Wish> {
  return db
    .insertInto('wishlist_items')
    .values({ wishlist_id: wishlist, product_id: product })
    .onConflict((conflict) =>
      conflict.columns(['wishlist_id', 'product_id']).doUpdateSet({
        quantity: sql`least(wishlist_items.quantity + 1, ${sql.lit(MAX_QUANTITY)})`,
      }),
    )
    .returning(wishColumns)
    .executeTakeFirstOrThrow()
}

/** Gives `undefined` where the product is not on the list. */
export function changeItem(
  db: Kysely<Database>,
  wishlist: string,
  product: number,
  { quantity, note, isGift }: Wish,
): Promise<Wish | undefined> {
  return db
    .updateTable('wishlist_items')
    .set({ quantity, note, is_gift: isGift })
    .where('wishlist_id', '=', wishlist)
    .where('product_id', '=', product)
    .returning(wishColumns)
    .executeTakeFirst()
}

export async function removeItem(db: Kysely<Database>, wishlist: string, product: number): Promise<void> {
  await db
    .deleteFrom('wishlist_items')
    .where('wishlist_id', '=', wishlist)
    .where('product_id', '=', product)
    .execute()
}
