import { WritePinningError } from '../errors.ts'

/** The error for everything that goes wrong with a test cluster itself. */
export function clusterError(message: string, cause?: unknown): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_TEST_CLUSTER',
    message,
    cause === undefined ? undefined : { cause },
  )
}
