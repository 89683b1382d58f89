import type { FastifyInstance } from 'fastify'
import { turnPinning } from '../browser.ts'

const body = {
  type: 'object',
  required: ['pinning', 'page'],
  properties: {
    pinning: { enum: ['on', 'off'] },
    page: { enum: ['/', '/wishlist'] }, // only these two, so that no form can send people to another site
  },
}

/** The switch at the top of each page. */
export function pinningRoutes(app: FastifyInstance): void {
  app.post<{ Body: { pinning: 'on' | 'off'; page: string } }>(
    '/pinning',
    // This POST sets a cookie and writes no row, so it must not pin the browser.
    { schema: { body }, config: { dbWrite: false } },
    (request, reply) => {
      turnPinning(request.body.pinning, reply)
      return reply.redirect(request.body.page, 303)
    },
  )
}
