import type { ServerResponse } from 'node:http'
import onHeaders from 'on-headers'

/** Calls `listener` once, as the headers of a response are about to leave; it may still set some. */
export function whenHeadersLeave(response: ServerResponse, listener: () => void): void {
  onHeaders(response, listener)
  const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse
  // Node.js takes headers as a list of pairs too. There `on-headers` keeps only the last of each name, so of several cookies
  // one; of a flat list it keeps all.
  response.writeHead = function (this: ServerResponse, ...given: unknown[]): ServerResponse {
    // For Node.js an argument that is undefined is not there; for `on-headers` it is the headers.
    const args = given.filter((arg) => arg !== undefined)
    const headers = args.at(-1)
    if (Array.isArray(headers) && Array.isArray(headers[0])) args[args.length - 1] = headers.flat()
    return writeHead.apply(this, args)
  }
}
