import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { withinMs } from '../waiting.ts'

/** Why a pin was given up that the store has not taken. */
export type Loss = 'over' | 'too-many' | 'closed'

/** Who has pins raised, and is told what becomes of them. */
export interface UnraisedPinsOwner {
  /** Asks the store; rejects as it does. */
  raise(account: string, pin: Pin): Promise<void>
  /** A try came to its end. */
  tried(wasTaken: boolean): void
  lost(pins: number, why: Loss): void
}

/** How often it is tried, and for how many; the times in ms. */
export interface Patience {
  /** The pause before the first try; each that fails doubles it. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** How long one try may take. */
  readonly tryMs: number
  /** How many accounts may wait; one more, and the one that waits longest is given up. */
  readonly maxAccounts: number
}

export const PATIENCE: Patience = {
  firstPauseMs: 250,
  longestPauseMs: 5_000,
  tryMs: 1_000,
  maxAccounts: 10_000,
}

/** How many are raised at a time. */
const AT_A_TIME = 8
/** How many may fail until the store is left alone for a pause, at first and at most: each round in which none is taken doubles it. */
const MAY_FAIL = 8
const MOST_MAY_FAIL = 512
/** How long a round may take until then, in ms. */
const ROUND_MS = 2_000
/** How long closing waits for a last try, in ms. */
const CLOSE_MS = 250

/**
 * The pins that the store of accounts has not taken: tries again until it does, or the pin is over. The pins of one account are one.
 * While the store is down, some accounts are tried at a time, each time others, as the fault may be theirs. Its timer does not keep the
 * process alive.
 */
export class UnraisedPins {
  readonly #owner: UnraisedPinsOwner
  readonly #patience: Patience
  /** The account whose pin was added last is the last. */
  readonly #waiting = new Map<string, Pin>()
  #pauseMs: number
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  /** Where the next round begins behind. */
  #failedLast: string | undefined
  #mayFail = MAY_FAIL
  #isClosed = false

  constructor(owner: UnraisedPinsOwner, patience = PATIENCE) {
    this.#owner = owner
    this.#patience = patience
    this.#pauseMs = patience.firstPauseMs
  }

  /** How many accounts wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** The pin of an account that waits; undefined where it has none. */
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
    if (this.#waiting.size > this.#patience.maxAccounts) {
      const [longest] = this.#waiting.keys()
      this.#waiting.delete(longest as string)
      this.#owner.lost(1, 'too-many')
    }
    this.#schedule()
  }

  /** The store has taken this pin after all; what was merged into it since has still to be raised. */
  took(account: string, pin: Pin): void {
    if (this.#waiting.get(account) === pin) this.#waiting.delete(account)
  }

  /** The store has taken another pin: there is no need for a long pause any more. */
  trySoon(): void {
    const { firstPauseMs } = this.#patience
    if (this.#timer === undefined || this.#pauseMs <= firstPauseMs) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#pauseMs = firstPauseMs
    this.#schedule()
  }

  /** Tries once more, for a moment at most, and gives up what is left. */
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

  /** Tries each account, until too many have failed. Never rejects. */
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
    const { firstPauseMs, longestPauseMs } = this.#patience
    this.#pauseMs = isBetter ? firstPauseMs : Math.min(this.#pauseMs * 2, longestPauseMs)
    this.#mayFail = isBetter ? MAY_FAIL : Math.min(this.#mayFail * 2, MOST_MAY_FAIL)
  }

  async #try(account: string): Promise<boolean> {
    const pin = this.#waiting.get(account)
    if (pin === undefined) return true
    const raising = this.#owner.raise(account, pin)
    const wasTaken = await withinMs(this.#patience.tryMs, raising, 'unref').catch(() => false)
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

  /** The accounts that wait, beginning behind the one that failed last. */
  #inTurn(): string[] {
    const accounts = [...this.#waiting.keys()]
    const from = this.#failedLast === undefined ? 0 : accounts.indexOf(this.#failedLast) + 1
    return [...accounts.slice(from), ...accounts.slice(0, from)]
  }
}

function ignore(): void {}
