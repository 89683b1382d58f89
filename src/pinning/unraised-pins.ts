import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { withinMs } from '../waiting.ts'

/** Why a pin was given up before the store took it. */
export type Loss = 'over' | 'too-many' | 'closed'

/** Raises the pins, and is told about the outcome. */
export interface UnraisedPinsOwner {
  /** Asks the store to raise a pin. Rejects if the store does. */
  raise(account: string, pin: Pin): Promise<void>
  /** Called after each try. */
  tried(wasTaken: boolean): void
  lost(pins: number, why: Loss): void
}

/** How often pins are tried again, and how many accounts may wait. Times are in ms. */
export interface RetrySettings {
  /** The pause before the first try. Each round that fails doubles it. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** How long one try may take. */
  readonly tryMs: number
  /** How many accounts may wait. If one more comes, the pin that has waited longest is given up. */
  readonly maxAccounts: number
}

export const RETRY_SETTINGS: RetrySettings = {
  firstPauseMs: 250,
  longestPauseMs: 5_000,
  tryMs: 1_000,
  maxAccounts: 10_000,
}

/** How many pins are raised at the same time. */
const AT_A_TIME = 8
/**
 * How many tries may fail before the store gets a pause, at first and at most. Each round in which the store takes no
 * pin doubles this number.
 */
const MAY_FAIL = 8
const MOST_MAY_FAIL = 512
/** How long a round goes on with new tries, in ms. */
const ROUND_MS = 2_000
/** How long closing waits for a last try, in ms. */
const CLOSE_MS = 250

/**
 * The pins of accounts that the store has not taken. Each is tried again until the store takes it, or the pin is
 * over. The pins of one account are merged into one. While the store is down, each round tries only some accounts.
 * The next round tries others, because the fault may lie with the accounts that failed. Its timer does not keep the
 * process alive.
 */
export class UnraisedPins {
  readonly #owner: UnraisedPinsOwner
  readonly #retries: RetrySettings
  /** The waiting pins, by account. The account whose pin was added last comes last. */
  readonly #waiting = new Map<string, Pin>()
  #pauseMs: number
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  /** The next round begins after this account. */
  #failedLast: string | undefined
  #mayFail = MAY_FAIL
  #isClosed = false

  constructor(owner: UnraisedPinsOwner, retries = RETRY_SETTINGS) {
    this.#owner = owner
    this.#retries = retries
    this.#pauseMs = retries.firstPauseMs
  }

  /** How many accounts wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** The waiting pin of an account; undefined if it has none. */
  of(account: string): Pin | undefined {
    return this.#waiting.get(account)
  }

  add(account: string, pin: Pin): void {
    if (this.#isClosed) {
      this.#owner.lost(1, 'closed')
      return
    }
    const merged = mergePins(this.#waiting.get(account), pin)
    this.#waiting.delete(account)
    this.#waiting.set(account, merged)
    if (this.#waiting.size > this.#retries.maxAccounts) {
      const [longest] = this.#waiting.keys()
      this.#waiting.delete(longest as string)
      this.#owner.lost(1, 'too-many')
    }
    this.#schedule()
  }

  /** The store has taken this pin after all. If another pin was merged into it since, the result still waits. */
  took(account: string, pin: Pin): void {
    if (this.#waiting.get(account) === pin) this.#waiting.delete(account)
  }

  /** The store has just taken another pin, so a long pause is cut short. */
  trySoon(): void {
    const { firstPauseMs } = this.#retries
    if (this.#timer === undefined || this.#pauseMs <= firstPauseMs) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#pauseMs = firstPauseMs
    this.#schedule()
  }

  /** Tries once more, for 250 ms at most, and gives up the pins that are left. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    if (this.#waiting.size > 0) await withinMs(CLOSE_MS, this.#round ?? this.#tryAll())
    const left = this.#waiting.size
    this.#waiting.clear()
    if (left > 0) this.#owner.lost(left, 'closed')
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#round !== undefined || this.#isClosed) return
    this.#timer = setTimeout(() => this.#start(), this.#pauseMs).unref()
  }

  #start(): void {
    this.#timer = undefined
    this.#round = this.#tryAll().finally(() => {
      this.#round = undefined
      if (this.#waiting.size > 0) this.#schedule()
    })
  }

  /** Tries each account, until too many have failed or the round is over. Never rejects. */
  async #tryAll(): Promise<void> {
    this.#dropOver()
    const accounts = this.#inTurn().values()
    const endsAtMs = performance.now() + ROUND_MS
    let taken = 0
    let failures = 0
    let open = 0
    const tryOn = async () => {
      while (failures + open < this.#mayFail && performance.now() < endsAtMs) {
        const { value: account } = accounts.next()
        if (account === undefined) return
        open++
        const wasTaken = await this.#try(account)
        open--
        if (wasTaken) taken++
        else {
          failures++
          this.#failedLast = account
        }
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, tryOn))
    const isBetter = failures === 0 || taken > 0
    const { firstPauseMs, longestPauseMs } = this.#retries
    this.#pauseMs = isBetter ? firstPauseMs : Math.min(this.#pauseMs * 2, longestPauseMs)
    this.#mayFail = isBetter ? MAY_FAIL : Math.min(this.#mayFail * 2, MOST_MAY_FAIL)
  }

  async #try(account: string): Promise<boolean> {
    const pin = this.#waiting.get(account)
    if (pin === undefined) return true
    const raising = this.#owner.raise(account, pin)
    const wasTaken = await withinMs(this.#retries.tryMs, raising, 'unref').catch(() => false)
    if (wasTaken) this.took(account, pin)
    else raising.then(() => this.took(account, pin)).catch(ignore)
    this.#owner.tried(wasTaken)
    return wasTaken
  }

  #dropOver(): void {
    const nowMs = Date.now()
    let over = 0
    for (const [account, { untilMs }] of this.#waiting) {
      if (untilMs > nowMs) continue
      this.#waiting.delete(account)
      over++
    }
    if (over > 0) this.#owner.lost(over, 'over')
  }

  /** The waiting accounts, beginning after the one that failed last. */
  #inTurn(): string[] {
    const accounts = [...this.#waiting.keys()]
    const from = this.#failedLast === undefined ? 0 : accounts.indexOf(this.#failedLast) + 1
    return [...accounts.slice(from), ...accounts.slice(0, from)]
  }
}

function ignore(): void {}
