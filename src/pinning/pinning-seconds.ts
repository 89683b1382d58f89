import { pinAtMostUntil } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { choiceError } from '../options.ts'

const DEFAULT_PINNING_SECONDS = 15
/** No pin lasts longer than a day. */
export const MAX_PINNING_SECONDS = 86_400
const DIGITS = /^\d+$/

/** How long a pin lasts, in seconds: what was given, else the environment's `PINNING_SECONDS`, else 15. */
export function pinningSeconds(where: string, given: unknown): number {
  const fromEnvironment = process.env.PINNING_SECONDS
  if (given === undefined && fromEnvironment !== undefined && fromEnvironment !== '') {
    return wholeSeconds(
      'The environment',
      'PINNING_SECONDS',
      DIGITS.test(fromEnvironment) ? Number(fromEnvironment) : fromEnvironment,
    )
  }
  return wholeSeconds(where, 'pinningSeconds', given === undefined ? DEFAULT_PINNING_SECONDS : given)
}

/** The same pin, none of it for longer than a day from now on: a number that is absurd, or a clock that is wrong, binds nobody for ever. */
export function pinAtMostADay(pin: Pin): Pin {
  return pinAtMostUntil(pin, Date.now() + MAX_PINNING_SECONDS * 1000)
}

/** Checks a number of seconds; a day at most. */
export function wholeSeconds(where: string, name: string, value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_PINNING_SECONDS) {
    return value as number
  }
  throw choiceError(where, name, value, `a whole number of seconds from 1 to ${MAX_PINNING_SECONDS}`)
}
