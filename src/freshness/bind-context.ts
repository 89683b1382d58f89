import { WritePinningError } from '../errors.ts'
import { currentContext, runInContext } from './context.ts'
import { keepInScope } from './scope-result.ts'

/**
 * Gives a function of the same type that runs in the context in which it was bound, whoever calls it: in none, where there was none.
 * A function of several signatures keeps the last of them.
 * For work that goes through a queue, a pool or a listener between requests, which would run it in the context of another one.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` where it is not given a function; the bound function throws
 * `ERR_WRITE_PINNING_NOT_EXECUTED` where it returns a query that it has not executed.
 * @example
 * app.post('/thumbnails', (request) => queue.add(bindContext(() => makeThumbnail(request.body.id))))
 */
// Where `pg` and others offer several signatures, the compiler finds no types for a callback's parameters: of `any` it can be used.
// biome-ignore lint/suspicious/noExplicitAny: see above.
export function bindContext<This, Args extends any[], Result>(
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
