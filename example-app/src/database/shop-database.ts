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

/** Sends a text as it is, and gives its rows. */
export type Run = (sql: string) => Promise<readonly Record<string, unknown>[]>

/** All that the shop asks of its database, whatever client that is opened with. */
export interface ShopDatabase {
  listProducts(): Promise<Product[]>
  findProduct(id: number): Promise<Product | undefined>
  /** The newest wish first. */
  listItems(wishlist: string): Promise<WishlistItem[]>
  /** Adds a product; one that is on the list already is wished for once more. */
  addItem(wishlist: string, product: number): Promise<Wish>
  /** Gives `undefined` where the product is not on the list. */
  changeItem(wishlist: string, product: number, wish: Wish): Promise<Wish | undefined>
  removeItem(wishlist: string, product: number): Promise<void>

  /** Rejects with the server's own error. */
  readonly run: Run
  /** What `work` runs takes effect together, or not at all. */
  transaction<T>(work: (run: Run) => Promise<T>): Promise<T>
  close(): Promise<void>
}
