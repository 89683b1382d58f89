import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ensureWishlist } from '../browser.ts'
import { MAX_QUANTITY } from '../database/shop-database.ts'
import type { LastWrite } from '../last-write.ts'
import { MAX_NOTE_LENGTH, wishlistPage } from '../pages/wishlist.ts'
import type { Shop } from '../shop.ts'
import { visitWishlist } from '../visit.ts'
import { sendPage } from './send-page.ts'

interface Item {
  product: number
}

interface ItemForm {
  quantity: number
  note: string
  gift?: 'on'
}

const item = {
  type: 'object',
  required: ['product'],
  properties: { product: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 } },
}

const itemForm = {
  type: 'object',
  required: ['quantity', 'note'],
  properties: {
    quantity: { type: 'integer', minimum: 1, maximum: MAX_QUANTITY },
    note: { type: 'string', maxLength: MAX_NOTE_LENGTH, pattern: '^[^\\u0000]*$' }, // PostgreSQL has no NUL
    gift: { const: 'on' },
  },
}

/**
 * The wishlist. Each form writes and is answered with a redirect, and the page behind that reads. This is the case
 * that needs write pinning.
 */
export function wishlistRoutes(app: FastifyInstance, shop: Shop): void {
  const { db } = shop

  app.get('/wishlist', async (request, reply) => {
    const visit = await visitWishlist(request, shop)
    const products = await db.listProducts()
    return sendPage(request, reply, visit, wishlistPage(visit.items, products))
  })

  app.post<{ Body: Item }>('/wishlist/add', { schema: { body: item } }, async (request, reply) => {
    const product = await db.findProduct(request.body.product)
    if (!product) return reply.callNotFound()

    const wishlist = ensureWishlist(request, reply)
    const wish = await db.addItem(wishlist, product.id)
    return done(request, reply, wishlist, { verb: 'added', product, wish })
  })

  app.post<{ Params: Item; Body: ItemForm }>(
    '/wishlist/:product',
    { schema: { params: item, body: itemForm } },
    async (request, reply) => {
      const product = await db.findProduct(request.params.product)
      if (!product) return reply.callNotFound()

      const { quantity, note, gift } = request.body
      const wishlist = ensureWishlist(request, reply)
      const wish = await db.changeItem(wishlist, product.id, { quantity, note, isGift: gift === 'on' })
      if (!wish) return reply.callNotFound()
      return done(request, reply, wishlist, { verb: 'changed', product, wish })
    },
  )

  app.post<{ Params: Item }>(
    '/wishlist/:product/remove',
    { schema: { params: item } },
    async (request, reply) => {
      const product = await db.findProduct(request.params.product)
      if (!product) return reply.callNotFound()

      const wishlist = ensureWishlist(request, reply)
      await db.removeItem(wishlist, product.id)
      return done(request, reply, wishlist, { verb: 'removed', product, wish: undefined })
    },
  )

  function done(
    request: FastifyRequest,
    reply: FastifyReply,
    wishlist: string,
    write: Pick<LastWrite, 'verb' | 'product' | 'wish'>,
  ): FastifyReply {
    shop.lastWrites.set(wishlist, { ...write, form: request.url, statements: request.statements })
    return reply.redirect('/wishlist', 303)
  }
}
