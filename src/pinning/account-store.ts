import { livePin, mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { withinMs } from '../waiting.ts'
import { isPin, type PinStore } from './pin-store.ts'
import { pinAtMostADay } from './pinning-seconds.ts'
import { type Loss, PATIENCE, type Patience, UnraisedPins } from './unraised-pins.ts'
import { type Log, processLog, tell } from './warnings.ts'

/** How long a request waits for the store, in ms; what is not known by then means the primary. */
const STORE_WAIT_MS = 250
/** How long no call may have failed before an outage of the store is over, in ms: one that fails now and then has one outage. */
const QUIET_MS = 5_000

/** What became of calls of the store, and of the pins in them. */
export interface StoreCounts {
  storeFailures: number
  storeLosses: number
}

/** What the store was asked to raise. */
export interface Raising {
  /** Settles as the store does, whenever that is. */
  readonly answer: Promise<void>
  /** Whether the store has taken it within a moment; never rejects. */
  readonly isDone: Promise<boolean>
}

/**
 * A pin store as requests use it: none of them waits long for it, what it does not take is tried again, and each of its outages is
 * told once, and its end.
 */
export class AccountStore {
  readonly #store: PinStore
  readonly #counts: StoreCounts
  readonly #log: Log
  readonly #quietMs: number
  readonly #unraised: UnraisedPins
  #isOut = false
  #failedAtMs = 0
  #hasToldTooMany = false
  #lostInOutage = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(
    store: PinStore,
    counts: StoreCounts,
    log: Log,
    { quietMs = QUIET_MS, ...patience }: Partial<Patience> & { quietMs?: number } = {},
  ) {
    this.#store = store
    this.#counts = counts
    this.#log = log
    this.#quietMs = quietMs
    this.#unraised = new UnraisedPins(
      {
        raise: async (account, pin) => store.raise(account, pin),
        tried: (wasTaken) => (wasTaken ? this.#answered() : this.#failed()),
        lost: (pins, why) => this.#lost(pins, why),
      },
      { ...PATIENCE, ...patience },
    )
  }

  /**
   * The pin of an account, with what the store has not taken of it yet; undefined where it has none.
   *
   * @throws where the store does not say within a moment. Why is the store's to say: its errors may hold addresses and passwords.
   */
  async get(account: string): Promise<Pin | undefined> {
    let stored: unknown
    const asked = (async () => {
      stored = (await this.#store.get(account)) ?? undefined
      if (stored !== undefined && !isPin(stored)) throw new TypeError('It gave something that is no pin.')
    })()
    if (!(await withinMs(STORE_WAIT_MS, asked).catch(() => false))) {
      this.#counts.storeFailures++
      this.#failed()
      throw new Error('The pin store did not answer.')
    }
    this.#answered()
    const pin = stored as Pin | undefined
    return mergePins(pin && pinAtMostADay(pin), livePin(this.#unraised.of(account), Date.now()))
  }

  /** Raises the pin of an account: what the store does not take within a moment is tried again until the pin is over. */
  raise(account: string, pin: Pin): Raising {
    const answer = (async () => this.#store.raise(account, pin))()
    const isDone = withinMs(STORE_WAIT_MS, answer)
      .catch(() => false)
      .then((wasTaken) => {
        if (wasTaken) {
          this.#unraised.trySoon()
          this.#answered()
        } else {
          this.#counts.storeFailures++
          this.#failed()
          this.#unraised.add(account, pin)
          answer.then(() => this.#unraised.took(account, pin)).catch(ignore)
        }
        return wasTaken
      })
    return { answer, isDone }
  }

  /** Tries once more what the store has not taken, for a moment at most, and lets go of it. */
  async close(): Promise<void> {
    await this.#unraised.close()
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #failed(): void {
    this.#failedAtMs = Date.now()
    if (this.#isOut) return
    this.#isOut = true
    this.#hasToldTooMany = false
    this.#lostInOutage = 0
    this.#warn(
      'The pin store fails or does not answer: reads of accounts go to the primary, and what their accounts have written is told ' +
        'to it again until it takes it, or the pin is over.',
    )
  }

  #answered(): void {
    if (!this.#isOut) return
    const quietInMs = this.#failedAtMs + this.#quietMs - Date.now()
    if (quietInMs > 0 || this.#unraised.size > 0) this.#lookAgain(quietInMs)
    else this.#isOver()
  }

  /** Nobody may ask the store any more, and its outage is over all the same. */
  #lookAgain(quietInMs: number): void {
    const failedAtMs = this.#failedAtMs
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    this.#timer = setTimeout(
      () => {
        // What fails since is followed by an answer, sooner or later.
        if (this.#failedAtMs === failedAtMs) this.#answered()
      },
      Math.max(quietInMs, 1_000),
    ).unref()
  }

  #isOver(): void {
    this.#isOut = false
    clearTimeout(this.#timer)
    this.#warn(
      this.#lostInOutage === 0
        ? 'The pin store answers again, and has taken every pin that it had not.'
        : `The pin store answers again. Pins of accounts that were over or given up before it took them: ${this.#lostInOutage}. Other ` +
            'devices of those accounts may have read older states.',
    )
  }

  #warn(message: string): void {
    tell(() => this.#log.warn(message))
  }

  #lost(pins: number, why: Loss): void {
    this.#counts.storeLosses += pins
    this.#lostInOutage += pins
    if (why === 'closed') {
      this.#warn(
        `Pins of accounts were given up as the application closed, because the pin store did not take them: ${pins}.`,
      )
    } else if (why === 'too-many' && !this.#hasToldTooMany) {
      this.#hasToldTooMany = true
      this.#warn(
        `More than ${PATIENCE.maxAccounts} accounts wait for the pin store to answer: for each more, the pin that waits longest is given up.`,
      )
    }
  }
}

/** The one for a store that is used without a plugin: nobody closes it, so it ends when its last pin is taken or over. */
export function accountStoreOf(store: PinStore): AccountStore {
  let found = withoutPlugin.get(store)
  if (found === undefined) {
    found = new AccountStore(store, { storeFailures: 0, storeLosses: 0 }, processLog)
    withoutPlugin.set(store, found)
  }
  return found
}

const withoutPlugin = new WeakMap<PinStore, AccountStore>()

function ignore(): void {}
