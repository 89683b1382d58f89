import type { FastifyInstance } from 'fastify'
import type { Shop } from '../app.ts'
import { shopPage } from '../pages/shop.ts'
import { listProducts } from '../wishlist.ts'
import { sendPage, visitWishlist } from './visit.ts'

export function shopRoutes(app: FastifyInstance, shop: Shop): void {
  app.get('/', async (request, reply) => {
    const visit = await visitWishlist(request, shop)
    const products = await listProducts(shop.db)
    return sendPage(request, reply, visit, shopPage(products, visit.items))
  })
}
