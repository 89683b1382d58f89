import { type RequestMemory, raiseCarried } from '../routing/memory.ts'
import type { Pin } from '../routing/pin.ts'
import { withinMs } from './open-positions.ts'
import { pinOfWrites } from './pin-of-memory.ts'
import { isPin, type PinStore } from './pin-store.ts'
import { pinAtMostADay } from './pinning-seconds.ts'

/** How long a request waits for the store, in ms; what is not known by then means the primary. */
const STORE_WAIT_MS = 250

/** The pin of the account behind one request. */
export class AccountPin {
  readonly #store: PinStore
  #ask: () => string | undefined
  readonly #failed: () => void
  #account: string | undefined
  #isBrought = false
  #isBehind = false

  /** `ask` gives the account, or undefined as long as nobody knows; `failed` is told when the store does not answer. */
  constructor(store: PinStore, ask: () => string | undefined, failed: () => void) {
    this.#store = store
    this.#ask = ask
    this.#failed = failed
  }

  /** Makes the request's reads as fresh as its account demands; gives the account's pin. Once it has, it asks no more. */
  async bring(memory: RequestMemory): Promise<Pin | undefined> {
    if (!this.#isBrought) this.#account ??= this.#ask()
    const account = this.#account
    if (account === undefined || this.#isBrought) return undefined
    this.#isBrought = true
    let pin: Pin | undefined
    const got = await this.#inTime(async () => {
      const stored: unknown = (await this.#store.get(account)) ?? undefined
      if (stored !== undefined && !isPin(stored)) throw new TypeError('It gave something that is no pin.')
      pin = stored && pinAtMostADay(stored)
    })
    // Nobody knows what the account has written: only the primary will do.
    if (!got) pin = { kind: 'time', untilMs: Date.now() + memory.pinningMs }
    raiseCarried(memory, pin)
    return pin
  }

  /** Tells that the request has written. */
  wrote(): void {
    this.#isBehind = true
  }

  /** Whether the request has written since the account's pin was raised. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** The request is over: keeps whose it is, for what it still writes, and lets go of it. */
  letGo(): void {
    // A log-in may have made it another one.
    const account = this.#ask() ?? this.#account
    this.#ask = () => account
  }

  /**
   * Raises the pin of the account to what the request has written, and to nothing that its client may have made up; where
   * nobody knows whose it is, does nothing.
   */
  async raise(memory: RequestMemory): Promise<void> {
    if (!this.#isBehind) return
    this.#isBehind = false
    // A log-in may have made it another one.
    const account = this.#ask() ?? this.#account
    const pin = account && pinOfWrites(memory, Date.now() + memory.pinningMs, true)
    if (account && pin) await this.#inTime(async () => this.#store.raise(account, pin))
  }

  async #inTime(work: () => Promise<unknown>): Promise<boolean> {
    // Why it failed is the store's to say: its errors may hold addresses and passwords.
    const isDone = await withinMs(STORE_WAIT_MS, work()).catch(() => false)
    if (!isDone) this.#failed()
    return isDone
  }
}
