import type { IncomingMessage, ServerResponse } from 'node:http'
import onHeaders from 'on-headers'

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

/** Calls `listener` once, as the headers of a response are about to leave; it may still set some. */
export function whenHeadersLeave(response: ServerResponse, listener: () => void): void {
  onHeaders(response, listener)
  const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse
  response.writeHead = function (this: ServerResponse, ...given: unknown[]): ServerResponse {
    return writeHead.apply(this, headOf(given))
  }
}

/**
 * What `on-headers` must be given for what Node.js takes. Node.js takes a reason only where it is a text, and headers behind anything else, such as
 * null; `on-headers` takes whatever is second, and is no text, for the headers. And Node.js takes a list of pairs, of which `on-headers`
 * keeps only the last of each name, so of several cookies one; of a flat list it keeps all.
 */
function headOf([status, second, third]: readonly unknown[]): unknown[] {
  const before = typeof second === 'string' ? [status, second] : [status]
  const headers = typeof second === 'string' ? third : (third ?? second)
  if (headers === undefined || headers === null) return before
  return [...before, Array.isArray(headers) && Array.isArray(headers[0]) ? headers.flat() : headers]
}
