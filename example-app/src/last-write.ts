import type { RouteEvent } from 'write-pinning'
import type { Wish, WishlistItem } from './database/shop-database.ts'

/** A form that a browser has just sent, kept until a page has shown what it did. */
export interface LastWrite {
  readonly form: string
  readonly statements: readonly RouteEvent[]
  readonly verb: 'added' | 'changed' | 'removed'
  readonly product: { readonly id: number; readonly name: string }
  /** What the primary holds since then; `undefined` once it is removed. */
  readonly wish: Wish | undefined
}

/** Whether a wishlist, as some node has answered it, holds what was last written. */
export function isShown({ product, wish }: LastWrite, items: readonly WishlistItem[]): boolean {
  const item = items.find((candidate) => candidate.product.id === product.id)
  if (!item || !wish) return !item && !wish
  return item.quantity === wish.quantity && item.note === wish.note && item.isGift === wish.isGift
}

/** The last write of each wishlist, in this process's memory: the oldest makes room for a new one. */
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
