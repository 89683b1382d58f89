import { WritePinningError } from '../errors.ts'
import { optionError } from '../options.ts'
import { currentContext, type RoutingContext, runInContext } from './context.ts'
import { rememberMarkedWrite } from './memory.ts'
import { USE_PRIMARY, USE_REPLICA } from './requirement.ts'
import { keepInScope } from './scope-result.ts'

type AnyFunction = (...args: never[]) => unknown

/** Runs a function in a scope, or wraps one so that each of its calls runs there. */
export interface Scope {
  <T>(fn: () => T): T
  /**
   * Gives a function of the same type that runs in the scope at each call.
   *
   * @example
   * const loadProfile = usePrimary.wrap((id: number) => findProfile(id))
   */
  wrap<F extends AnyFunction>(fn: F): F
  // The compiler never chooses this signature. Its result is a function, so the compiler reads a route's schema before
  // it reads the handler in here.
  wrap<Args extends unknown[], Result>(fn: (...args: Args) => Result): (...args: Args) => Result
}

/** A {@link Scope} for one node, by its name. */
export interface NodeScope {
  <T>(node: string, fn: () => T): T
  /**
   * Gives a function of the same type that runs in the scope at each call.
   *
   * @example
   * const loadReport = useNode.wrap('reporting', (year: number) => findSales(year))
   */
  wrap<F extends AnyFunction>(node: string, fn: F): F
  // As in `Scope`.
  wrap<Args extends unknown[], Result>(node: string, fn: (...args: Args) => Result): (...args: Args) => Result
}

/**
 * Runs `fn` with its reads on the primary, whatever the pin says, and gives the result of `fn`.
 *
 * Scopes nest, and the innermost one wins. What held before a scope holds again after it.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_EXECUTED` if `fn` returns a query that it has not executed, and
 * `ERR_WRITE_PINNING_OPTION` if `fn` is no function.
 * @example
 * const profile = await usePrimary(() => db.selectFrom('profile').selectAll().executeTakeFirst())
 */
export const usePrimary: Scope = scope('usePrimary', (outer) => ({ ...outer, override: USE_PRIMARY }))

/**
 * Runs `fn` with its reads on a replica, and gives the result of `fn`. The reads may be stale, even under a pin.
 * Writes still go to the primary.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_EXECUTED` if `fn` returns a query that it has not executed, and
 * `ERR_WRITE_PINNING_OPTION` if `fn` is no function.
 * @example
 * const top = await useReplica(() => db.selectFrom('product').selectAll().limit(10).execute())
 */
export const useReplica: Scope = scope('useReplica', (outer) => ({ ...outer, override: USE_REPLICA }))

/**
 * Runs `fn`, whose writes do not count and set no pin, and gives the result of `fn`.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_EXECUTED` if `fn` returns a query that it has not executed, and
 * `ERR_WRITE_PINNING_OPTION` if `fn` is no function.
 * @example
 * await withoutPin(() => db.updateTable('user').set({ last_seen_at: new Date() }).where('id', '=', 1).execute())
 */
export const withoutPin: Scope = scope('withoutPin', (outer) => ({ ...outer, countsWrites: false }))

/**
 * Runs `fn` with its reads on the node named `node`, and gives the result of `fn`. A write is refused there, unless
 * the node is the primary.
 *
 * A transaction, or a connection that is on the primary already, stays where it is.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` if `node` is no name, or `fn` no function;
 * `ERR_WRITE_PINNING_NOT_EXECUTED` if `fn` returns a query that it has not executed. A statement in `fn` throws
 * `ERR_WRITE_PINNING_UNKNOWN_NODE` if no node has that name, and `ERR_WRITE_PINNING_WRITE_ON_REPLICA` if it is a
 * write and the node is a replica.
 * @example
 * const report = await useNode('reporting', () => db.selectFrom('sale').selectAll().execute())
 */
export const useNode: NodeScope = Object.assign(<T>(node: string, fn: () => T): T => nodeScope(node)(fn), {
  wrap: <F extends AnyFunction>(node: string, fn: F): F => nodeScope(node).wrap(fn),
})

/**
 * Tells the router of a write that it cannot see, by another client or another service. From now on this request's
 * reads go to the primary, and its response carries a pin. Outside a request it does nothing.
 *
 * @example
 * await searchService.reindex(product)
 * markWrite()
 */
export function markWrite(): void {
  const memory = currentContext()?.memory
  if (memory !== undefined) rememberMarkedWrite(memory)
}

/**
 * Binds a function to the current context. Gives a function of the same type that runs in that context, whoever calls
 * it. If there is no context now, it runs in none. Use it for work that goes through a queue, a pool or a listener:
 * these may run it in the context of another request. Of a function with several signatures, it keeps the last one. If
 * the function that takes a callback has several signatures, write the callback's types down:
 * `(error: Error, result: QueryResult) => …`.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` if `fn` is no function. The bound function throws
 * `ERR_WRITE_PINNING_NOT_EXECUTED` if it returns a query that it has not executed.
 * @example
 * app.post('/thumbnails', (request) => queue.add(bindContext(() => makeThumbnail(request.body.id))))
 */
export function bindContext<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result {
  if (typeof fn !== 'function') {
    throw new WritePinningError('ERR_WRITE_PINNING_OPTION', 'bindContext() takes the function to bind.')
  }
  const here = currentContext()
  const context = here && { ...here, isBound: true }
  const bound = function (this: This, ...args: Args): Result {
    return keepInScope(
      'bindContext',
      context,
      runInContext(context, () => fn.apply(this, args)),
    )
  }
  return Object.defineProperties(bound, { name: { value: fn.name }, length: { value: fn.length } })
}

const OUTSIDE: RoutingContext = { memory: undefined, override: undefined, countsWrites: true }

function nodeScope(node: string): Scope {
  if (typeof node !== 'string' || node === '') throw optionError('useNode()', 'node', node, "a node's name")
  return scope('useNode', (outer) => ({ ...outer, override: { kind: 'named', node, reason: 'use-node' } }))
}

function scope(name: string, enter: (outer: RoutingContext) => RoutingContext): Scope {
  const run = <T>(fn: () => T): T => {
    if (typeof fn !== 'function') throw missingFunction(name)
    const context = enter(currentContext() ?? OUTSIDE)
    return keepInScope(name, context, runInContext(context, fn))
  }
  const wrap = <F extends AnyFunction>(fn: F): F => {
    if (typeof fn !== 'function') throw missingFunction(name)
    // `this` and the arguments are the caller's: the wrapped function may be a method or a route handler.
    const wrapped = function (this: unknown, ...args: never[]): unknown {
      return run(() => fn.apply(this, args))
    }
    // Frameworks look at a handler's length (Express tells an error handler by it), and print its name.
    const { length } = fn
    return Object.defineProperties(wrapped, { length: { value: length }, name: { value: fn.name } }) as F
  }
  return Object.assign(run, { wrap })
}

function missingFunction(name: string): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    `${name}() takes the function to run in its scope.`,
  )
}
