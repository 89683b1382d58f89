import { type ExactPin, isClusterKey, type Pin } from '../freshness/pin.ts'
import { isPosition } from '../freshness/position.ts'
import type { OptionReader } from '../options.ts'

/**
 * Keeps the pins of accounts, so that a write on one device is seen on the next. Many processes may call both methods
 * at the same time.
 */
export interface PinStore {
  /** Gives the pin of an account; undefined if it has none. */
  get(account: string): Promise<Pin | undefined>
  /** Raises the pin of an account: merges `pin` into it, so that it demands both. This never lowers it. */
  raise(account: string, pin: Pin): Promise<void>
}

/** How an error describes this option. */
export const A_PIN_STORE =
  'a store of pins (`memoryPinStore()`; a client of Redis is wrapped: `redisPinStore(client)`)'

export function isPinStore(value: unknown): value is PinStore {
  if (typeof value !== 'object' || value === null) return false
  const { get, raise } = value as Partial<PinStore>
  return typeof get === 'function' && typeof raise === 'function'
}

/** Reads the option `pinStore` of a call. */
export function pinStoreOption(read: OptionReader<{ pinStore?: PinStore }>): PinStore | undefined {
  return read.value('pinStore', undefined, isPinStore, A_PIN_STORE)
}

/** Whether a value from a store is a pin that can be written into a token. */
export function isPin(value: unknown): value is Pin {
  if (typeof value !== 'object' || value === null) return false
  const { kind, untilMs } = value as Partial<Pin>
  if (!Number.isSafeInteger(untilMs)) return false
  return kind === 'time' || (kind === 'exact' && hasParts(value as Partial<ExactPin>))
}

function hasParts({ primaryUntilMs, clusters, writtenUntilMs = 0 }: Partial<ExactPin>): boolean {
  if (!Number.isSafeInteger(primaryUntilMs) || !(clusters instanceof Map)) return false
  if (!Number.isSafeInteger(writtenUntilMs)) return false
  return [...clusters].every(
    ([key, part]) =>
      isClusterKey(key) &&
      Number.isSafeInteger(part?.primaryUntilMs) &&
      (part.exact === undefined ||
        (Number.isSafeInteger(part.exact?.untilMs) && isPosition(part.exact.position))),
  )
}
