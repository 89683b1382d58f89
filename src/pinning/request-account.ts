import { type RequestMemory, raiseCarried, type WriteKind } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import { settlePositions } from '../freshness/written-positions.ts'
import type { AccountStore } from './account-store.ts'
import { pinOfWrites } from './outgoing-pin.ts'

/**
 * Gives the account, or undefined while it is not known. With `isKnown`, the account was found before, and an error
 * is not reported: a log-out may have removed the data that the answer is made of.
 */
export type AskAccount = (isKnown: boolean) => string | undefined

/** The account behind one request, and its pin. */
export class RequestAccount {
  readonly #store: AccountStore
  #ask: AskAccount
  #account: string | undefined
  #isBrought = false
  /** Whether the request has written, and whether the account's pin was raised for that. */
  #writes: 'none' | 'unraised' | 'raised' = 'none'

  constructor(store: AccountStore, ask: AskAccount) {
    this.#store = store
    this.#ask = ask
  }

  /** Adds another edge of the request. It is asked if the earlier ones do not know the account. */
  addSource(ask: AskAccount): void {
    const before = this.#ask
    this.#ask = (isKnown) => before(isKnown) ?? ask(isKnown)
  }

  /**
   * Makes the request's reads as fresh as its account demands, and gives the account's pin. Does this once: when the
   * account is known.
   */
  async bringPin(memory: RequestMemory): Promise<Pin | undefined> {
    if (!this.#isBrought) this.#account ??= this.#ask(false)
    const account = this.#account
    if (account === undefined || this.#isBrought) return undefined
    this.#isBrought = true
    // If the store gives no answer, the account may have written anything. So only the primary will do.
    const unknown = () => ({ kind: 'time' as const, untilMs: Date.now() + memory.pinningMs })
    const pin = await this.#store.get(account).catch(unknown)
    raiseCarried(memory, pin)
    return pin
  }

  /** Notes that the request has written. */
  wrote(): void {
    this.#writes = 'unraised'
  }

  /** Whether a write was noted. */
  get hasWritten(): boolean {
    return this.#writes !== 'none'
  }

  /** Whether the request has written since the account's pin was raised. */
  get hasUnraisedWrite(): boolean {
    return this.#writes === 'unraised'
  }

  /**
   * Drops the request, which is over, but remembers its account for late writes. Gives the listener for those writes.
   */
  detachFromRequest(
    memory: RequestMemory,
    onLateWrite: ((kind: WriteKind) => void) | undefined,
  ): (kind: WriteKind) => void {
    const account = this.#askAgain()
    this.#ask = () => account
    // The request wrote before its client went away, and may never answer.
    if (this.hasUnraisedWrite) void this.raise(memory)
    return (kind) => {
      onLateWrite?.(kind)
      this.wrote()
      void this.raise(memory)
    }
  }

  /** Asks again, because a log-in may have changed the account. */
  #askAgain(): string | undefined {
    this.#account = this.#ask(this.#account !== undefined) ?? this.#account
    return this.#account
  }

  /**
   * Raises the account's pin: it then covers what the request has written. The pin that the client brought is left
   * out, because it may be forged. Does nothing if the account is not known. Resolves within a moment: it waits 250
   * ms at most for the positions of the writes, and then 250 ms for the store. If the store has not taken the pin by
   * then, it is tried again.
   */
  async raise(memory: RequestMemory): Promise<void> {
    await settlePositions(memory)
    if (!this.hasUnraisedWrite) return
    this.#writes = 'raised'
    const account = this.#askAgain()
    const pin = account && pinOfWrites(memory, Date.now() + memory.pinningMs, true)
    if (account && pin) await this.#store.raise(account, pin).isDone
  }
}
