import type { Pin } from '../routing/pin.ts'

/**
 * Where the pins of accounts are kept, so that a write on one device is seen on the next. Both may be called at the same
 * time from many processes.
 */
export interface PinStore {
  /** The pin of an account; undefined where it has none. */
  get(account: string): Promise<Pin | undefined>
  /** Raises the pin of an account to what `pin` demands as well; it never lowers it. */
  raise(account: string, pin: Pin): Promise<void>
}

export function isPinStore(value: unknown): value is PinStore {
  if (typeof value !== 'object' || value === null) return false
  const { get, raise } = value as Partial<PinStore>
  return typeof get === 'function' && typeof raise === 'function'
}
