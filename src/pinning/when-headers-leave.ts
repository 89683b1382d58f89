import type { ServerResponse } from 'node:http'
import onHeaders from 'on-headers'

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
