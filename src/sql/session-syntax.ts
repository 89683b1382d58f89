import { TOKEN } from './lexer.ts'
import type { NamedWork, TransactionEffect } from './statement-text.ts'

/**
 * Reads a statement about the session token by token: the name of the prepared statement or cursor that it uses, and
 * the place where its inner statement begins.
 */
export class SessionSyntax {
  readonly #verb: string
  #tokens = 0
  #name: string | undefined
  /** The last token that could be a name. */
  #lastName: string | undefined
  #isInnerNext = false
  #kind = ''

  constructor(verb: string) {
    this.#verb = verb
  }

  /** Reads the next token. `depth` is 0 outside parentheses. Gives true if the inner statement begins at this token. */
  read(kind: number, text: string, depth: number): boolean {
    if (this.#isInnerNext) return true
    if (kind === TOKEN.word || kind === TOKEN.quoted) this.#readName(kind, text, depth)
    this.#tokens++
    return false
  }

  /** What the statement does with a name; undefined for nothing. */
  get named(): NamedWork | undefined {
    const name = this.#verb === 'deallocate' || FETCHES.has(this.#verb) ? this.#lastName : this.#name
    switch (this.#verb) {
      case 'prepare':
        return this.#isInnerNext ? { does: 'prepare', name } : undefined
      case 'execute':
        return { does: 'execute', name }
      case 'declare':
        return { does: 'declare', name }
      case 'fetch':
      case 'move':
        return { does: 'fetch', name }
      case 'deallocate':
        return { does: 'forget', name: name === 'all' ? undefined : name }
      case 'discard':
        return { does: 'forget', name: undefined }
      default:
        return undefined
    }
  }

  #readName(kind: number, text: string, depth: number): void {
    if (this.#tokens === 1) this.#name = text
    if (this.#tokens > 0) this.#lastName = text
    if (kind !== TOKEN.word || depth > 0) return
    if (this.#verb === 'create' && FILLED.has(text)) this.#kind ||= text
    // `create temp sequence … as integer` has no inner statement.
    const word = this.#verb === 'declare' ? 'for' : 'as'
    const mayHold = this.#verb === 'create' ? this.#kind !== '' : HOLD.has(this.#verb)
    if (mayHold && text === word && this.#tokens > 1) this.#isInnerNext = true
  }
}

const FETCHES: ReadonlySet<string> = new Set(['fetch', 'move'])
const HOLD: ReadonlySet<string> = new Set(['prepare', 'declare'])
const FILLED: ReadonlySet<string> = new Set(['table', 'view'])

/**
 * Follows, token by token, what the statements of a text do to the transaction of their session
 * (https://www.postgresql.org/docs/current/sql-begin.html, sql-commit.html, sql-prepare-transaction.html). In doubt,
 * the transaction goes on.
 */
export class TransactionWords {
  #effect: TransactionEffect
  #statement: TransactionEffect
  /** Whether a statement before the current one has committed something. */
  #hasCommitted = false
  #verb = ''
  #last = ''
  /** How many tokens of the current statement were read so far. */
  #tokens = 0
  /**
   * Whether the text may have the body of a function. Then a semicolon may be within that body, and an `end` may be
   * its end.
   */
  #hasBody: boolean

  constructor(hasBody = false) {
    this.#hasBody = hasBody
  }

  /** The effect of all statements that were read so far, together. */
  get effect(): TransactionEffect {
    const effect = this.#statement ?? this.#effect
    if (effect === undefined) return undefined
    const isOpen = effect === 'begins' || effect === 'commits-and-begins'
    if (!isOpen && this.#hasBody) return undefined
    const hasCommitted = this.#hasCommitted || COMMITS.has(effect)
    if (isOpen) return hasCommitted ? 'commits-and-begins' : 'begins'
    return hasCommitted ? 'commits' : 'rolls-back'
  }

  /** Reads the next token. A semicolon ends a statement. */
  read(kind: number, text: string): void {
    if (kind === TOKEN.punctuation && text === ';') {
      this.#endStatement()
      return
    }
    const word = kind === TOKEN.word ? text : ''
    this.#tokens++
    if (this.#tokens === 1) this.#readVerb(word)
    else this.#readOther(kind, word)
    this.#last = word
  }

  #readVerb(word: string): void {
    this.#verb = word
    if (BEGINS.has(word)) this.#statement = 'begins'
    else this.#statement = ENDS.get(word)
  }

  #readOther(kind: number, word: string): void {
    if (word === 'atomic' && this.#last === 'begin') this.#hasBody = true
    if (this.#verb === 'prepare') {
      // `prepare transaction as …` prepares a statement named `transaction`.
      if (this.#tokens === 3 && this.#last === 'transaction' && kind === TOKEN.string)
        this.#statement = 'commits'
    } else if (ENDS.has(this.#verb)) {
      if (word === 'to' || (word === 'prepared' && this.#tokens === 2)) this.#statement = undefined
      if (word === 'chain' && this.#last === 'and') {
        this.#statement = this.#statement === 'commits' ? 'commits-and-begins' : 'begins'
      }
    }
  }

  #endStatement(): void {
    this.#effect = this.#statement ?? this.#effect
    this.#hasCommitted ||= COMMITS.has(this.#statement)
    this.#statement = undefined
    this.#verb = ''
    this.#last = ''
    this.#tokens = 0
  }
}

const BEGINS: ReadonlySet<string> = new Set(['begin', 'start'])
const ENDS: ReadonlyMap<string, TransactionEffect> = new Map([
  ['commit', 'commits'],
  ['end', 'commits'],
  ['abort', 'rolls-back'],
  ['rollback', 'rolls-back'],
])
const COMMITS: ReadonlySet<TransactionEffect> = new Set(['commits', 'commits-and-begins'])
