/**
 * Where a token stands among the parentheses of a text: how deep, whether in the head of a `with`, where names have
 * columns and bodies but nothing is called, and whether behind a parenthesis that an expression may follow.
 */
export class Parentheses {
  depth = 0
  #isBroken = false
  readonly #isInWithHead: boolean[] = []
  readonly #isPrefix: boolean[] = []
  #isNextPrefix = false

  /** Whether each that was opened is closed, and the other way round. */
  get areBalanced(): boolean {
    return this.depth === 0 && !this.#isBroken
  }

  /** Whether the place is between a `with` and the statement that it belongs to. */
  get isInWithHead(): boolean {
    return this.#isInWithHead[this.depth] === true
  }

  set isInWithHead(isInWithHead: boolean) {
    this.#isInWithHead[this.depth] = isInWithHead
  }

  /** The next parenthesis is that of `distinct on (…)` or `operator(…)`, behind which an expression begins. */
  expectPrefix(): void {
    this.#isNextPrefix = true
  }

  open(): void {
    this.depth++
    this.#isInWithHead[this.depth] = false
    this.#isPrefix[this.depth] = this.#isNextPrefix
    this.#isNextPrefix = false
  }

  /** Closes a parenthesis, and tells whether an expression may follow it. */
  close(): boolean {
    if (this.depth === 0) {
      this.#isBroken = true
      return false
    }
    const isPrefix = this.#isPrefix[this.depth] === true
    this.depth--
    return isPrefix
  }
}
