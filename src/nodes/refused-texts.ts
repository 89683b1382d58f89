import { refusalOf } from './error-meaning.ts'

/** How long a replica is not asked for a text after the first refusal, and at most, in ms. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 60_000
/** How many texts are kept, and how long a text may be to be kept. */
const MAX_TEXTS = 1_000
const MAX_LENGTH = 8_192

interface Rest {
  ms: number
  untilMs: number
  /** Whether the rest is over and one statement is on its way to find out if the replica still refuses the text. */
  isAskedAgain: boolean
}

/**
 * The texts that one replica refused and the primary accepted. Such a text rests: for a while it is not sent to that
 * replica. Then it is tried again, because the replica may only have lagged. Each further refusal doubles the rest.
 */
export class RefusedTexts {
  readonly #rests = new Map<string, Rest>()
  readonly #longestRestMs: number

  constructor(longestRestMs: number = LONGEST_REST_MS) {
    this.#longestRestMs = longestRestMs
  }

  get isEmpty(): boolean {
    return this.#rests.size === 0
  }

  /**
   * Whether a text may be sent to the replica.
   *
   * - `'new'`: yes, nothing is known of it
   * - `'resting'`: no
   * - `'again'`: yes, its rest is over. Only one caller gets this. For as long as the last rest was, the others get
   *   `'resting'`
   */
  ask(text: string, nowMs: number = performance.now()): 'new' | 'again' | 'resting' {
    const rest = this.#rests.get(text)
    if (rest === undefined) return 'new'
    if (nowMs < rest.untilMs) return 'resting'
    rest.untilMs = nowMs + rest.ms
    rest.isAskedAgain = true
    return 'again'
  }

  /** Records a refusal. True if the replica refused the text again, after a rest. */
  refuse(text: string, nowMs: number = performance.now()): boolean {
    const rest = this.#rests.get(text)
    if (rest === undefined) {
      this.#begin(text, nowMs)
      return false
    }
    // This statement was already under way when the text was refused before.
    if (!rest.isAskedAgain) return false
    rest.ms = Math.min(2 * rest.ms, this.#longestRestMs)
    rest.untilMs = nowMs + rest.ms
    rest.isAskedAgain = false
    return true
  }

  /** The replica accepts the text now. */
  accept(text: string): void {
    this.#rests.delete(text)
  }

  #begin(text: string, nowMs: number): void {
    if (text.length > MAX_LENGTH) return
    if (this.#rests.size >= MAX_TEXTS) this.#rests.clear()
    this.#rests.set(text, { ms: FIRST_REST_MS, untilMs: nowMs + FIRST_REST_MS, isAskedAgain: false })
  }
}

/** How long the primary is not asked about an error, in ms. Then it is asked again: it may have the object by then. */
const REST_MS = 1_000

/**
 * The errors that a replica gave to a text and the primary gave as well. Such an error is the statement's fault: its
 * table does not exist, for example, or its regular expression has an unknown flag. Other errors with the same code
 * mean that only the primary will do. For a while, the caller gets an error of this list at once, and the primary is
 * not asked.
 *
 * The text alone does not decide, but the error too: with other values, the same text may miss an object that the
 * primary has.
 */
export class ConfirmedErrors {
  readonly #rests = new RefusedTexts(REST_MS)

  /** Whether the primary need not be asked about this error of a replica, because it has just given the same one. */
  isConfirmed(sql: string, error: unknown, nowMs?: number): boolean {
    const key = keyOf(sql, error)
    return key !== undefined && this.#rests.ask(key, nowMs) === 'resting'
  }

  /** Records that the primary gave the error `given` to a text to which a replica gave `error`. */
  primaryGave(given: unknown, sql: string, error: unknown, nowMs?: number): void {
    const key = keyOf(sql, error)
    if (key === undefined) return
    if (isSame(given, error)) this.#rests.refuse(key, nowMs)
    else this.#rests.accept(key)
  }

  /** The primary accepted the text. */
  primaryAccepted(sql: string, error: unknown): void {
    const key = keyOf(sql, error)
    if (key !== undefined) this.#rests.accept(key)
  }
}

/** The part of a server's error that is read here. */
interface ServerError {
  readonly code?: unknown
  readonly message?: unknown
  readonly where?: unknown
  readonly file?: unknown
  readonly line?: unknown
}

function isSame(a: unknown, b: unknown): boolean {
  const [one, other] = [(a ?? {}) as ServerError, (b ?? {}) as ServerError]
  return one.code === other.code && one.message === other.message
}

/**
 * What identifies an error.
 *
 * - If it can mean recovery (0A000, 55000), it is the place in the server's source that raised it. So it is the same
 *   for all values that users give. Errors that do mean recovery come from another place.
 * - Otherwise it is the message. The errors that a function raises all come from one place, and missing objects
 *   differ by name.
 */
function keyOf(sql: string, error: unknown): string | undefined {
  const { code, message, where, file, line } = (error ?? {}) as ServerError
  // A prepared statement is out of date on one connection only.
  if (message === 'cached plan must not change result type') return undefined
  const isByPlace = refusalOf(error) === 'recovery' && where === undefined && file !== undefined
  return `${code}\n${isByPlace ? `${file}:${line}` : message}\n${sql}`
}
