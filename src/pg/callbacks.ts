/** A callback as `pg` calls it: with an error, or with the result. */
export type Callback<T> = (error: unknown, result?: T) => void

/**
 * Calls back in the next tick after the work is done. Otherwise, an error that the callback throws would reject a
 * promise that nobody awaits. `noError` is the callback's first argument if there is no error: undefined as from a
 * pool of `pg`, null as from a client.
 */
export function inTurn<T>(work: Promise<T>, callback: Callback<T>, noError?: null): void {
  work.then(
    (result) => process.nextTick(callback, noError, result),
    (error: unknown) => process.nextTick(callback, error),
  )
}

/** The callback that a query came with, in any of `pg`'s forms; undefined if the caller wants a promise. */
export function callbackOf<T>(
  config: unknown,
  values: unknown,
  callback: Callback<T> | undefined,
): Callback<T> | undefined {
  if (typeof values === 'function') return values as Callback<T>
  const its = callback ?? (config as { callback?: Callback<T> }).callback ?? undefined
  if (its !== undefined && typeof its !== 'function') throw new TypeError('callback is not a function')
  return its
}
