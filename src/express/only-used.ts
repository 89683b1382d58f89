import { WritePinningError } from '../errors.ts'
import { throwWhenRead } from '../pinning/index.ts'

/** Has a function that makes a middleware say so where Express's `app.use()` is given it as one. */
export function refuseUncalled(make: object, error: () => WritePinningError): void {
  throwWhenRead(make, 'handle', error)
}

/** Whether a function was called as a middleware is: a router and a route show only at a request what they were given. */
export function isMiddlewareCall(rest: readonly unknown[]): boolean {
  return typeof rest[1] === 'function'
}

/** Has Fastify refuse a function, because it is for Express, when it is registered. */
export function refuseInFastify(made: object): void {
  const meta = { name: 'writePinning of write-pinning/express' }
  // Fastify reads the version that a plugin is for just before it runs it, and makes what that throws an error of its start.
  throwWhenRead(meta, 'fastify', forExpress)
  Object.defineProperty(made, Symbol.for('plugin-meta'), { value: meta })
}

function forExpress(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    "writePinning of 'write-pinning/express' is for Express: for Fastify, import it from 'write-pinning/fastify' and write " +
      '`await app.register(writePinning)`, without calling it.',
  )
}
