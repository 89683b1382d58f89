import type { FastifyRequest } from 'fastify'
import { wishlistOf } from './browser.ts'
import type { WishlistItem } from './database/shop-database.ts'
import { isShown, type LastWrite } from './last-write.ts'
import type { Shop } from './shop.ts'

/** A browser's wishlist as one node has just answered it, and the last write of that browser. */
export interface Visit {
  readonly items: readonly WishlistItem[]
  readonly lastWrite?: LastWrite & { readonly isShown: boolean; readonly readFrom: string }
}

export async function visitWishlist(request: FastifyRequest, shop: Shop): Promise<Visit> {
  const wishlist = wishlistOf(request)
  if (wishlist === undefined) return { items: [] }

  const items = await shop.db.listItems(wishlist)
  const readFrom = request.statements.at(-1)?.node ?? 'unknown'

  const lastWrite = shop.lastWrites.get(wishlist)
  if (!lastWrite) return { items }
  const shown = isShown(lastWrite, items)
  if (shown) shop.lastWrites.forget(wishlist)
  return { items, lastWrite: { ...lastWrite, isShown: shown, readFrom } }
}
