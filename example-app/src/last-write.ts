import type { RouteEvent } from 'write-pinning'
import type { Wish, WishlistItem } from './database/shop-database.ts'

/** A form that a browser has just sent. It is kept until a page has shown the result. */
export interface LastWrite {
  readonly form: string
  readonly statements: readonly RouteEvent[]
  readonly verb: 'added' | 'changed' | 'removed'
  readonly product: { readonly id: number; readonly name: string }
  /** What the primary holds since then; `undefined` if it was removed. */
  readonly wish: Wish | undefined
}

/** Whether a wishlist that some node has answered holds the last write. */
export function isShown({ product, wish }: LastWrite, items: readonly WishlistItem[]): boolean {
  const item = items.find((candidate) => candidate.product.id === product.id)
  if (!item || !wish) return !item && !wish
  return item.quantity === wish.quantity && item.note === wish.note && item.isGift === wish.isGift
}

/**
 * The last write of each wishlist, in the memory of this process. A new one replaces the oldest when there are too
 * many.
 */
export class LastWrites {
  readonly #capacity: number
  readonly #byWishlist = new Map<string, LastWrite>()

  constructor(capacity = 1_000) {
    this.#capacity = capacity
  }

  get(wishlist: string): LastWrite | undefined {
    return this.#byWishlist.get(wishlist)
  }

  set(wishlist: string, write: LastWrite): void {
    this.#byWishlist.delete(wishlist)
    this.#byWishlist.set(wishlist, write)
    if (this.#byWishlist.size <= this.#capacity) return
    for (const oldest of this.#byWishlist.keys()) {
      this.#byWishlist.delete(oldest)
      return
    }
  }

  forget(wishlist: string): void {
    this.#byWishlist.delete(wishlist)
  }
}
