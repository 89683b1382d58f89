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
