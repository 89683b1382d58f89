import { livePin, mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { OptionReader } from '../options.ts'
import type { PinStore } from '../pinning/pin-store.ts'

/** The options of {@link memoryPinStore}. */
export interface MemoryPinStoreOptions {
  /**
   * How many accounts may have a pin of their own at a time. Beyond that, every account is pinned for a while.
   * Default: 100,000.
   */
  maxAccounts?: number
}

/**
 * Keeps the pins of accounts in this process, for a service that is one process, and for tests.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` or `ERR_WRITE_PINNING_UNKNOWN_OPTION` for a wrong option.
 * @example
 * // accountOf() is yours: it gives the account that a request is logged in to, or undefined.
 * await app.register(writePinning, { pinStore: memoryPinStore(), account: accountOf })
 */
export function memoryPinStore(options: MemoryPinStoreOptions = {}): PinStore {
  const read = new OptionReader<MemoryPinStoreOptions>('memoryPinStore()', options, ['maxAccounts'])
  return new MemoryPinStore(read.value('maxAccounts', 100_000, isCount, 'a whole number from 1 on'))
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1
}

class MemoryPinStore implements PinStore {
  readonly #maxAccounts: number
  readonly #pins = new Map<string, Pin>()
  /**
   * The accounts by the second (since the epoch) in which their pin ends. Within a second, the account that was
   * raised last comes last.
   */
  readonly #bySecond = new Map<number, Set<string>>()
  /** The first of those seconds, if it is known. Otherwise all of them are searched for it. */
  #soonest: number | undefined
  /** The second up to which the pins that are over were dropped. */
  #cleanedAt = 0
  /** Accounts may have been dropped to make room. Until this time, each account counts as pinned. */
  #droppedUntilMs = 0

  constructor(maxAccounts: number) {
    this.#maxAccounts = maxAccounts
  }

  async get(account: string): Promise<Pin | undefined> {
    return this.#pinOf(account, Date.now())
  }

  // Reading and writing happen in one go, without an `await`. So if two raises come at the same time, none is lost.
  async raise(account: string, pin: Pin): Promise<void> {
    const nowMs = Date.now()
    const raised = mergePins(this.#pinOf(account, nowMs), pin)
    this.#remove(account)
    this.#add(account, raised)
    this.#dropWhatIsOver(nowMs)
    if (this.#pins.size > this.#maxAccounts) this.#dropOne()
  }

  #pinOf(account: string, nowMs: number): Pin | undefined {
    const pin = livePin(this.#pins.get(account), nowMs)
    if (this.#droppedUntilMs <= nowMs) return pin
    return mergePins(pin, { kind: 'time', untilMs: this.#droppedUntilMs })
  }

  #add(account: string, pin: Pin): void {
    const second = secondOf(pin)
    const accounts = this.#bySecond.get(second)
    if (accounts === undefined) this.#bySecond.set(second, new Set([account]))
    else accounts.add(account)
    this.#pins.set(account, pin)
    if (this.#soonest !== undefined && second < this.#soonest) this.#soonest = second
  }

  #remove(account: string): void {
    const pin = this.#pins.get(account)
    if (pin === undefined) return
    this.#pins.delete(account)
    const second = secondOf(pin)
    const accounts = this.#bySecond.get(second)
    accounts?.delete(account)
    if (accounts?.size === 0) this.#forget(second)
  }

  #forget(second: number): void {
    this.#bySecond.delete(second)
    if (this.#soonest === second) this.#soonest = undefined
  }

  /**
   * Runs once a second at most. It visits at most one entry for each second that the longest pin lasts, not one for
   * each account.
   */
  #dropWhatIsOver(nowMs: number): void {
    const now = Math.floor(nowMs / 1000)
    if (now === this.#cleanedAt) return
    this.#cleanedAt = now
    for (const [second, accounts] of this.#bySecond) {
      if (second > now) continue
      for (const account of accounts) this.#pins.delete(account)
      this.#forget(second)
    }
  }

  /** Drops the account whose pin is over first, because every account then counts as pinned for as long. */
  #dropOne(): void {
    this.#soonest ??= least(this.#bySecond.keys())
    for (const account of this.#bySecond.get(this.#soonest) ?? []) {
      const untilMs = this.#pins.get(account)?.untilMs ?? 0
      this.#droppedUntilMs = Math.max(this.#droppedUntilMs, untilMs)
      this.#remove(account)
      return
    }
  }
}

function secondOf({ untilMs }: Pin): number {
  return Math.ceil(untilMs / 1000)
}

function least(numbers: Iterable<number>): number {
  let found = Number.POSITIVE_INFINITY
  for (const each of numbers) if (each < found) found = each
  return found
}
