import type { ServerResponse } from 'node:http'
import onHeaders from 'on-headers'

/**
 * Calls `listener` as the headers of a response are about to leave, when all are set that its handler wants, those that it gives to
 * `writeHead()` included.
 */
export function beforeHeaders(response: ServerResponse, listener: () => void): void {
  onHeaders(response, listener)
  const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse
  response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    return writeHead.apply(this, args.map(flat))
  }
}

// Of pairs, as `[...headers]` gives them, `on-headers` would keep the last `Set-Cookie` only; of a flat list it keeps all.
function flat(arg: unknown): unknown {
  return Array.isArray(arg) && Array.isArray(arg[0]) ? arg.flat() : arg
}
