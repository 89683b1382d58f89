import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Shop } from '../app.ts'
import { isPinningOff, wishlistOf } from '../browser.ts'
import { isShown, type LastWrite } from '../last-write.ts'
import { layout, type Page } from '../pages/layout.ts'
import { listItems, type WishlistItem } from '../wishlist.ts'

/** A browser's wishlist as one node has just answered it, beside what that browser last wrote. */
export interface Visit {
  readonly items: readonly WishlistItem[]
  readonly lastWrite?: LastWrite & { readonly isShown: boolean; readonly readFrom: string }
}

export async function visitWishlist(request: FastifyRequest, shop: Shop): Promise<Visit> {
  const wishlist = wishlistOf(request)
  if (wishlist === undefined) return { items: [] }

  const items = await listItems(shop.db, wishlist)
  const readFrom = request.statements.at(-1)?.node ?? 'unknown'

  const lastWrite = shop.lastWrites.get(wishlist)
  if (!lastWrite) return { items }
  const shown = isShown(lastWrite, items)
  if (shown) shop.lastWrites.forget(wishlist)
  return { items, lastWrite: { ...lastWrite, isShown: shown, readFrom } }
}

/** Sends a page in the frame that all pages share: it says where each statement went, so it is made last. */
export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  visit: Visit,
  page: Page,
): FastifyReply {
  const frame = {
    visit,
    pin: request.writePin,
    isPinningOff: isPinningOff(request),
    statements: request.statements,
    now: Date.now(),
  }
  return reply
    .type('text/html; charset=utf-8')
    .header('cache-control', 'private, no-cache')
    .send(layout(page, frame).toString())
}
