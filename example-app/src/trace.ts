import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import { ROUTE_CHANNEL, type RouteEvent } from 'write-pinning'

declare module 'fastify' {
  interface FastifyRequest {
    /** Every statement that this request has sent so far: where it went, and why. */
    statements: RouteEvent[]
  }
}

const current = new AsyncLocalStorage<RouteEvent[]>()

// A message arrives in the async context of the statement it is about, and so finds its request.
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

  // On Node.js 20, what follows the parsing of a body runs in the context of the socket, so enter once more.
  app.addHook('preValidation', (request, _reply, done) => {
    current.run(request.statements, done)
  })
}
