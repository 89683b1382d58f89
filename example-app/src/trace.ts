import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import { ROUTE_CHANNEL, type RouteEvent } from 'write-pinning'

declare module 'fastify' {
  interface FastifyRequest {
    /** Every statement of this request so far: where it went, and why. */
    statements: RouteEvent[]
  }
}

const current = new AsyncLocalStorage<RouteEvent[]>()

// An event arrives in the async context of its statement, and so finds its request.
subscribe(ROUTE_CHANNEL, (message) => {
  current.getStore()?.push(message as RouteEvent)
})

/** Collects each request's statements in `request.statements`. */
export function traceStatements(app: FastifyInstance): void {
  app.decorateRequest('statements')

  app.addHook('onRequest', (request, _reply, done) => {
    request.statements = []
    current.run(request.statements, done)
  })

  // On Node.js 20, the code after the parsing of a body runs in the context of the socket. So this enters again.
  app.addHook('preValidation', (request, _reply, done) => {
    current.run(request.statements, done)
  })
}
