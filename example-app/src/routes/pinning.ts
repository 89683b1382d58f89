import type { FastifyInstance } from 'fastify'
import { turnPinning } from '../browser.ts'

const body = {
  type: 'object',
  required: ['pinning', 'page'],
  properties: {
    pinning: { enum: ['on', 'off'] },
    page: { enum: ['/', '/wishlist'] }, // a list, so that no form can send people to another site
  },
}

/** The switch at the top of each page. */
export function pinningRoutes(app: FastifyInstance): void {
  app.post<{ Body: { pinning: 'on' | 'off'; page: string } }>(
    '/pinning',
    // It is a POST, but sets a cookie and no row: it must not pin the browser.
    { schema: { body }, config: { dbWrite: false } },
    (request, reply) => {
      turnPinning(request.body.pinning, reply)
      return reply.redirect(request.body.page, 303)
    },
  )
}
