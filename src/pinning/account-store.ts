import { livePin, mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { withinMs } from '../waiting.ts'
import { isPin, type PinStore } from './pin-store.ts'
import { pinAtMostADay } from './pinning-seconds.ts'
import { type Loss, RETRY_SETTINGS, type RetrySettings, UnraisedPins } from './unraised-pins.ts'
import { type Log, processLog, tell } from './warnings.ts'

/** How long a request waits for the pin store, in ms. If no answer comes, its reads go to the primary. */
const STORE_WAIT_MS = 250
/**
 * An outage of the store ends when no call has failed for this long, in ms. So a store that fails now and then counts
 * as one outage.
 */
const QUIET_MS = 5_000

/** The numbers of failed calls of the store, and of pins that were given up. */
export interface StoreCounts {
  storeFailures: number
  storeLosses: number
}

/** A pin that the store was asked to raise. */
export interface Raising {
  /** Settles when the store does, and in the same way. */
  readonly answer: Promise<void>
  /** Whether the store took it within 250 ms. Never rejects. */
  readonly isDone: Promise<boolean>
}

/**
 * A pin store as requests use it. No request waits long for it. A pin that it does not take is tried again. An outage
 * gives one warning, and its end another one.
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
    { quietMs = QUIET_MS, ...retries }: Partial<RetrySettings> & { quietMs?: number } = {},
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
      { ...RETRY_SETTINGS, ...retries },
    )
  }

  /**
   * The pin of an account, merged with what still waits for the store; undefined if it has none.
   *
   * @throws if the store fails, or does not answer within 250 ms. The error leaves out what the store said, which may
   * hold addresses and passwords.
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

  /** Raises the pin of an account. A pin that the store does not take within 250 ms is tried again until it is over. */
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

  /** Tries the waiting pins once more, for 250 ms at most, and gives up the rest. */
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

  /** Checks again later. If no request asks the store any more, no call would notice that the outage is over. */
  #lookAgain(quietInMs: number): void {
    const failedAtMs = this.#failedAtMs
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    this.#timer = setTimeout(
      () => {
        // If a call has failed since, the end of a later call checks again.
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
        `More than ${RETRY_SETTINGS.maxAccounts} accounts wait for the pin store to answer: for each more, the pin that waits longest is given up.`,
      )
    }
  }
}

/**
 * The account store of a pin store that is used without a plugin. It is never closed: its timers stop when the last
 * pin is taken or over.
 */
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
