import { refusalOf } from './error-meaning.ts'

/** How long a text rests after it was refused for the first time, and at most, in ms. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 60_000
/** How many texts are known, and how long one may be that is kept at all. */
const MAX_TEXTS = 1_000
const MAX_LENGTH = 8_192

interface Rest {
  ms: number
  untilMs: number
  /** Whether the rest was over, and it is being found out whether the replica still refuses the text. */
  isAskedAgain: boolean
}

/**
 * The texts that one replica refused and the primary accepted. Each rests: it is not asked there again for a while, which is twice as
 * long after each refusal, because the replica may only be late.
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
   * Whether a text may be asked there: `'again'` after a rest, for one asker, whose outcome the others wait for as long as that rest was;
   * `'new'` where nothing is known of it.
   */
  ask(text: string, nowMs: number = performance.now()): 'new' | 'again' | 'resting' {
    const rest = this.#rests.get(text)
    if (rest === undefined) return 'new'
    if (nowMs < rest.untilMs) return 'resting'
    rest.untilMs = nowMs + rest.ms
    rest.isAskedAgain = true
    return 'again'
  }

  /** Takes note of a refusal; gives whether it is one more, after a rest. */
  refuse(text: string, nowMs: number = performance.now()): boolean {
    const rest = this.#rests.get(text)
    if (rest === undefined) {
      this.#begin(text, nowMs)
      return false
    }
    // It was under way when the text was refused before.
    if (!rest.isAskedAgain) return false
    rest.ms = Math.min(2 * rest.ms, this.#longestRestMs)
    rest.untilMs = nowMs + rest.ms
    rest.isAskedAgain = false
    return true
  }

  /** The replica accepts the text by now. */
  accept(text: string): void {
    this.#rests.delete(text)
  }

  #begin(text: string, nowMs: number): void {
    if (text.length > MAX_LENGTH) return
    if (this.#rests.size >= MAX_TEXTS) this.#rests.clear()
    this.#rests.set(text, { ms: FIRST_REST_MS, untilMs: nowMs + FIRST_REST_MS, isAskedAgain: false })
  }
}

/** How long an error is taken for a statement's own, in ms, until the primary is asked again: it may have the object by then. */
const REST_MS = 1_000

/**
 * The errors that a replica gave to a text and the primary gave as well: they are the statement's own (a table that is nowhere, a flag of a
 * regular expression that nobody knows), although others with the same code say that only the primary will do. For a while such an error
 * is given back as it is, and the primary is not asked.
 *
 * It goes by the error, not by the text alone: with other values the same text may lack what the primary has.
 */
export class OwnErrors {
  readonly #rests = new RefusedTexts(REST_MS)

  /** Whether the primary need not be asked about this error of a replica's: it has given the same a while ago. */
  isOwn(sql: string, error: unknown, nowMs?: number): boolean {
    const key = keyOf(sql, error)
    return key !== undefined && this.#rests.ask(key, nowMs) === 'resting'
  }

  /** Takes note of what the primary gave, where a replica gave `error`. */
  primaryGave(given: unknown, sql: string, error: unknown, nowMs?: number): void {
    const key = keyOf(sql, error)
    if (key === undefined) return
    if (isSame(given, error)) this.#rests.refuse(key, nowMs)
    else this.#rests.accept(key)
  }

  /** The primary accepted it. */
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
 * What an error is known by. What the server itself objects to is known by where in its source that is, so that it is the same for any
 * value of a user's; one that says that a server is in recovery comes from elsewhere. The errors that a function raises all come from one
 * place, and a missing object is another one by its name.
 */
function keyOf(sql: string, error: unknown): string | undefined {
  const { code, message, where, file, line } = (error ?? {}) as ServerError
  // A prepared statement that is out of date is so on one connection only.
  if (message === 'cached plan must not change result type') return undefined
  const isByPlace = refusalOf(error) === 'recovery' && where === undefined && file !== undefined
  return `${code}\n${isByPlace ? `${file}:${line}` : message}\n${sql}`
}
