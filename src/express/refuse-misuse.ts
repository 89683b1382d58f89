import { WritePinningError } from '../errors.ts'
import { throwWhenRead } from '../pinning/index.ts'

/**
 * Makes Express's `app.use()` throw if it gets `writePinning` itself: that function makes the middleware, and must be
 * called first.
 */
export function refuseUncalled(make: object, error: () => WritePinningError): void {
  throwWhenRead(make, 'handle', error)
}

/**
 * Whether a call has the arguments of a middleware. A router and a route read no property of what they are given, so
 * there this mistake shows only at a request.
 */
export function isMiddlewareCall(rest: readonly unknown[]): boolean {
  return typeof rest[1] === 'function'
}

/** Makes Fastify refuse a function that is for Express, when it is registered. */
export function refuseInFastify(made: object): void {
  const meta = { name: 'writePinning of write-pinning/express' }
  // Fastify reads the version that a plugin is for just before it runs the plugin. What this throws becomes an error
  // of Fastify's start.
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
