import { WritePinningError } from '../errors.ts'
import { currentContext } from '../freshness/context.ts'
import { rememberWriteRequest } from '../freshness/memory.ts'

type Handler = (...args: never[]) => unknown

/**
 * Marks a route's handler as a write, as the route's mark `dbWrite: true` does: its reads go to the primary
 * and its response pins.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` where it is not given a function.
 * @example
 * app.get('/track', dbWrite(async (request) => recordVisit(request.ip)))
 */
export function dbWrite<F extends Handler>(handler: F): F {
  if (typeof handler !== 'function') {
    throw new WritePinningError('ERR_WRITE_PINNING_OPTION', 'dbWrite() takes the handler of a route.')
  }
  const marked = function (this: unknown, ...args: never[]): unknown {
    // A framework that could not see the mark beforehand learns of it here.
    const memory = currentContext()?.memory
    if (memory !== undefined) rememberWriteRequest(memory)
    return handler.apply(this, args)
  }
  Object.defineProperties(marked, { name: { value: handler.name }, length: { value: handler.length } })
  return Object.setPrototypeOf(marked, MARKED)
}

/** Whether a handler was marked by {@link dbWrite}; also a bound copy of it. */
export function isDbWrite(handler: unknown): boolean {
  return typeof handler === 'function' && (handler as { [DB_WRITE]?: true })[DB_WRITE] === true
}

// The mark is on the prototype, because `bind()`, which Fastify calls on each handler, keeps only that.
const DB_WRITE = Symbol.for('write-pinning.db-write')
const MARKED = Object.create(Function.prototype, { [DB_WRITE]: { value: true } })
