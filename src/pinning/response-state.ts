import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Whether the headers of a response have left. `@fastify/express` puts a `headersSent` of its own on each response, which
 * is true from Express's `send()` on, before Fastify's hooks run, and false where a handler has ended the response by itself.
 */
export function haveHeadersLeft(response: ServerResponse): boolean {
  if (!Object.hasOwn(response, 'headersSent')) return response.headersSent
  return Reflect.get(Object.getPrototypeOf(response), 'headersSent', response) === true
}

/** Whether a response is closed, or its client is gone; that of HTTP/2 has only its stream to say so. */
export function isOver(response: ServerResponse): boolean {
  return response.closed || response.destroyed || (response as WithStream).stream?.destroyed === true
}

/** Whether the request asked for a WebSocket, or the like, and the server has handed over its socket. */
export function isSocket(response: ServerResponse): boolean {
  return (response.req as WithUpgrade | undefined)?.upgrade === true
}

// Node.js sets it, and its types do not know it.
type WithUpgrade = IncomingMessage & { readonly upgrade?: unknown }
type WithStream = ServerResponse & { readonly stream?: { readonly destroyed: boolean } }
