import type { FastifyInstance } from 'fastify'
import { shopPage } from '../pages/shop.ts'
import type { Shop } from '../shop.ts'
import { visitWishlist } from '../visit.ts'
import { sendPage } from './send-page.ts'

export function shopRoutes(app: FastifyInstance, shop: Shop): void {
  app.get('/', async (request, reply) => {
    const visit = await visitWishlist(request, shop)
    const products = await shop.db.listProducts()
    return sendPage(request, reply, visit, shopPage(products, visit.items))
  })
}
