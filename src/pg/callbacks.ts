/** As `pg` calls back: with an error, or with what came. */
export type Callback<T> = (error: unknown, result?: T) => void

/** Calls back once something is there, in a turn of its own: what the callback throws is nobody's rejection. */
export function inTurn<T>(work: Promise<T>, callback: Callback<T>): void {
  work.then(
    (result) => process.nextTick(callback, undefined, result),
    (error: unknown) => process.nextTick(callback, error),
  )
}
