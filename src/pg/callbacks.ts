/** As `pg` calls back: with an error, or with what came. */
export type Callback<T> = (error: unknown, result?: T) => void

/**
 * Calls back once something is there, in a turn of its own: what the callback throws is nobody's rejection. `noError` is what it gets for an
 * error where there is none: a pool of `pg`'s gives undefined, a client of `pg`'s null.
 */
export function inTurn<T>(work: Promise<T>, callback: Callback<T>, noError?: null): void {
  work.then(
    (result) => process.nextTick(callback, noError, result),
    (error: unknown) => process.nextTick(callback, error),
  )
}

/** The callback that a query came with, in whichever of `pg`'s forms; undefined where its promise is wanted. */
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
