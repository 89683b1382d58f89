import { optionError, optionsObject, refuseUnknownOptions } from '../options.ts'
import { livePin, mergePins } from '../routing/merge-pins.ts'
import type { Pin } from '../routing/pin.ts'
import type { PinStore } from './pin-store.ts'

/** The options of {@link memoryPinStore}. */
export interface MemoryPinStoreOptions {
  /** How many accounts have a pin of their own at a time. Beyond, every account is pinned for a while. Default: 100,000. */
  maxAccounts?: number
}

/**
 * Keeps the pins of accounts in this process, for a service that is one process, and for tests.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for a wrong option.
 * @example
 * await app.register(writePinning, { pinStore: memoryPinStore(), account: (request) => request.user?.id })
 */
export function memoryPinStore(options: MemoryPinStoreOptions = {}): PinStore {
  refuseUnknownOptions(WHERE, optionsObject(WHERE, options), ['maxAccounts'])
  const { maxAccounts = 100_000 } = options
  if (!Number.isInteger(maxAccounts) || maxAccounts < 1) {
    throw optionError(WHERE, 'maxAccounts', maxAccounts, 'a whole number from 1 on')
  }
  return new MemoryPinStore(maxAccounts)
}

const WHERE = 'memoryPinStore()'

class MemoryPinStore implements PinStore {
  readonly #maxAccounts: number
  /** The account whose pin was raised last is the last. */
  readonly #pins = new Map<string, Pin>()
  /** Until when an account that is not there may have been left out. */
  #leftOutUntilMs = 0

  constructor(maxAccounts: number) {
    this.#maxAccounts = maxAccounts
  }

  async get(account: string): Promise<Pin | undefined> {
    return this.#pinOf(account, Date.now())
  }

  // Nothing is awaited between reading and writing: of two at the same time, none is lost.
  async raise(account: string, pin: Pin): Promise<void> {
    const raised = mergePins(this.#pinOf(account, Date.now()), pin)
    this.#pins.delete(account)
    this.#pins.set(account, raised)
    this.#makeRoom()
  }

  #pinOf(account: string, nowMs: number): Pin | undefined {
    const pin = livePin(this.#pins.get(account), nowMs)
    if (this.#leftOutUntilMs <= nowMs) return pin
    return mergePins(pin, { kind: 'time', untilMs: this.#leftOutUntilMs })
  }

  /** Those that were raised first are over first, mostly. */
  #makeRoom(): void {
    const nowMs = Date.now()
    for (const [account, { untilMs }] of this.#pins) {
      if (untilMs > nowMs) {
        if (this.#pins.size <= this.#maxAccounts) return
        this.#leftOutUntilMs = Math.max(this.#leftOutUntilMs, untilMs)
      }
      this.#pins.delete(account)
    }
  }
}
