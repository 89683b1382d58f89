import type { FastifyInstance } from 'fastify'

const headers = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'",
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
}

/** Tells browsers what our pages may do, and refuses forms that come from another site. */
export function protect(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headers)
    const isForm = request.method === 'POST'
    if (isForm && request.headers['sec-fetch-site'] === 'cross-site') {
      throw Object.assign(new Error('This form was sent from another site.'), { statusCode: 403 })
    }
  })
}
