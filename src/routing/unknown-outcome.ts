import { WritePinningError } from '../errors.ts'

/** A connection was lost at COMMIT: nobody knows whether the transaction was committed, so nobody may repeat it unseen. */
export function unknownOutcome(node: string, cause: unknown): WritePinningError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new WritePinningError(
    'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
    `The connection to '${node}' was lost while it committed (${why}): the transaction may have been committed, or not. ` +
      'Look before you run it again.',
    { cause },
  )
}
