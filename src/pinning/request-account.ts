import { type RequestMemory, raiseCarried, type WriteKind } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import { settlePositions } from '../freshness/written-positions.ts'
import type { AccountStore } from './account-store.ts'
import { pinOfWrites } from './outgoing-pin.ts'

/**
 * Gives the account, or undefined as long as nobody knows. Where one is known already, an error on asking again says nothing: a log-out may
 * have taken away what the answer is read from.
 */
export type AskAccount = (isKnown: boolean) => string | undefined

/** The account behind one request, and its pin. */
export class RequestAccount {
  readonly #store: AccountStore
  #ask: AskAccount
  #account: string | undefined
  #isBrought = false
  /** What the request has written, as far as the account's pin has to be raised for it. */
  #writes: 'none' | 'unraised' | 'raised' = 'none'

  constructor(store: AccountStore, ask: AskAccount) {
    this.#store = store
    this.#ask = ask
  }

  /** Asks another edge of the request, too, where those before do not know. */
  alsoAsk(ask: AskAccount): void {
    const before = this.#ask
    this.#ask = (isKnown) => before(isKnown) ?? ask(isKnown)
  }

  /** Makes the request's reads as fresh as its account demands; gives the account's pin. Once it has, it asks no more. */
  async bring(memory: RequestMemory): Promise<Pin | undefined> {
    if (!this.#isBrought) this.#account ??= this.#ask(false)
    const account = this.#account
    if (account === undefined || this.#isBrought) return undefined
    this.#isBrought = true
    // Where nobody knows what the account has written, only the primary will do.
    const unknown = () => ({ kind: 'time' as const, untilMs: Date.now() + memory.pinningMs })
    const pin = await this.#store.get(account).catch(unknown)
    raiseCarried(memory, pin)
    return pin
  }

  /** Tells that the request has written. */
  wrote(): void {
    this.#writes = 'unraised'
  }

  /** Whether it was told of a write. */
  get hasWritten(): boolean {
    return this.#writes !== 'none'
  }

  /** Whether the request has written since the account's pin was raised. */
  get isBehind(): boolean {
    return this.#writes === 'unraised'
  }

  /**
   * Drops the request, which is over, but remembers its account, for late writes. Gives the listener that is told of those.
   */
  outlive(
    memory: RequestMemory,
    onLateWrite: ((kind: WriteKind) => void) | undefined,
  ): (kind: WriteKind) => void {
    const account = this.#askAgain()
    this.#ask = () => account
    // What it wrote before its client went away; it may never come to an answer.
    if (this.isBehind) void this.raise(memory)
    return (kind) => {
      onLateWrite?.(kind)
      this.wrote()
      void this.raise(memory)
    }
  }

  /** A log-in may have made it another one. */
  #askAgain(): string | undefined {
    this.#account = this.#ask(this.#account !== undefined) ?? this.#account
    return this.#account
  }

  /**
   * Raises the pin of the account to what the request has written, once the positions of that are there, and to nothing that its client
   * may have made up; where nobody knows whose it is, does nothing. Resolves after a moment at most; what the store has not taken by
   * then is tried again.
   */
  async raise(memory: RequestMemory): Promise<void> {
    await settlePositions(memory)
    if (!this.isBehind) return
    this.#writes = 'raised'
    const account = this.#askAgain()
    const pin = account && pinOfWrites(memory, Date.now() + memory.pinningMs, true)
    if (account && pin) await this.#store.raise(account, pin).isDone
  }
}
