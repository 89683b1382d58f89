export interface Product {
  id: number
  picture: string
  name: string
  maker: string
  blurb: string
  priceCents: number
}

/** What a browser can set for a product on its wishlist. */
export interface Wish {
  quantity: number
  note: string
  isGift: boolean
}

export interface WishlistItem extends Wish {
  product: Product
}

export const MAX_QUANTITY = 99

/** Sends an SQL text unchanged, and gives its rows. */
export type Run = (sql: string) => Promise<readonly Record<string, unknown>[]>

/** Everything that the shop needs from its database, whatever client opened it. */
export interface ShopDatabase {
  listProducts(): Promise<Product[]>
  findProduct(id: number): Promise<Product | undefined>
  /** The newest wish comes first. */
  listItems(wishlist: string): Promise<WishlistItem[]>
  /** Adds a product. If it is already on the list, its quantity grows by one. */
  addItem(wishlist: string, product: number): Promise<Wish>
  /** Gives `undefined` if the product is not on the list. */
  changeItem(wishlist: string, product: number, wish: Wish): Promise<Wish | undefined>
  removeItem(wishlist: string, product: number): Promise<void>

  /** Rejects with the server's own error. */
  readonly run: Run
  /** Everything that `work` runs takes effect together, or not at all. */
  transaction<T>(work: (run: Run) => Promise<T>): Promise<T>
  close(): Promise<void>
}
