import { setTimeout as sleep } from 'node:timers/promises'
import { clusterError } from './cluster-error.ts'

const POLL_MS = 10

/**
 * Asks `isTrue` every 10 ms until it says yes. Throws an error with the text of `otherwise()` once `withinMs()` are
 * over.
 */
export async function until(
  isTrue: () => Promise<boolean> | boolean,
  withinMs: () => number,
  otherwise: () => string,
): Promise<void> {
  const started = performance.now()
  while (!(await isTrue())) {
    if (performance.now() - started > withinMs()) throw clusterError(otherwise())
    await sleep(POLL_MS)
  }
}
