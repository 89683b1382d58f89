import { numberOfEnvironment } from '../environment.ts'
import { pinAtMostUntil } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import type { OptionReader } from '../options.ts'

/** The longest life of a pin, in seconds: a day. */
export const MAX_PINNING_SECONDS = 86_400
/** The bounds of a duration in seconds. */
export const SECONDS = {
  ...{ min: 1, max: MAX_PINNING_SECONDS, isWhole: true },
  expected: `a whole number of seconds from 1 to ${MAX_PINNING_SECONDS}`,
}

/** How long a pin lasts, in seconds: the option, else the environment's `PINNING_SECONDS`, else 15. */
export function pinningSeconds(read: OptionReader<{ pinningSeconds?: number }>): number {
  const given = read.number('pinningSeconds', undefined, SECONDS)
  return given ?? numberOfEnvironment('PINNING_SECONDS', SECONDS) ?? 15
}

/**
 * The same pin, but with no part that lasts longer than a day from now on. So a wrong number or a wrong clock cannot
 * make a pin that never ends.
 */
export function pinAtMostADay(pin: Pin): Pin {
  return pinAtMostUntil(pin, Date.now() + MAX_PINNING_SECONDS * 1000)
}
