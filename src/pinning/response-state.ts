import type { IncomingMessage, ServerResponse } from 'node:http'
import onHeaders from 'on-headers'

/**
 * Whether the headers of a response have left. Reads Node.js's own `headersSent`, because `@fastify/express` puts
 * another one on each response. That property is true from Express's `send()` on, before Fastify's hooks run. And it
 * is false if a handler has ended the response by itself.
 */
export function haveHeadersLeft(response: ServerResponse): boolean {
  if (!Object.hasOwn(response, 'headersSent')) return response.headersSent
  return Reflect.get(Object.getPrototypeOf(response), 'headersSent', response) === true
}

/** Whether a response is closed, or its client is gone. An HTTP/2 response shows this only by its stream. */
export function isOver(response: ServerResponse): boolean {
  return response.closed || response.destroyed || (response as WithStream).stream?.destroyed === true
}

/** Whether the request asked for a WebSocket or the like, and the server has handed over its socket. */
export function isSocket(response: ServerResponse): boolean {
  return (response.req as WithUpgrade | undefined)?.upgrade === true
}

// Node.js sets `upgrade`, but its types do not have it.
type WithUpgrade = IncomingMessage & { readonly upgrade?: unknown }
type WithStream = ServerResponse & { readonly stream?: { readonly destroyed: boolean } }

/** Calls `listener` once, when the headers of a response are about to leave. It may still set headers. */
export function whenHeadersLeave(response: ServerResponse, listener: () => void): void {
  onHeaders(response, listener)
  const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse
  response.writeHead = function (this: ServerResponse, ...given: unknown[]): ServerResponse {
    return writeHead.apply(this, headOf(given))
  }
}

/**
 * Rewrites those arguments of `writeHead()` that `on-headers` and Node.js read differently:
 *
 * - If the second argument is not a text, such as null, Node.js takes the third for the headers, if there is one.
 *   `on-headers` takes the second.
 * - Node.js accepts a list of pairs. `on-headers` keeps only the last pair of each name, so only one of several
 *   cookies. From a flat list it keeps all.
 */
function headOf([status, second, third]: readonly unknown[]): unknown[] {
  const before = typeof second === 'string' ? [status, second] : [status]
  const headers = typeof second === 'string' ? third : (third ?? second)
  if (headers === undefined || headers === null) return before
  return [...before, Array.isArray(headers) && Array.isArray(headers[0]) ? headers.flat() : headers]
}
