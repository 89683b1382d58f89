import { Lexer, TOKEN } from './lexer.ts'
import type { TransactionEffect } from './statement-text.ts'

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

/** Whether a statement only controls its transaction, as `begin`, `commit` and `savepoint` do. */
export function isControl(sql: string): boolean {
  return CONTROLS.has(firstWordOf(sql))
}

/**
 * Whether a statement about the session gives its transaction an id: it locks a table, or creates or drops temporary
 * ones.
 */
export function takesId(sql: string): boolean {
  return TAKING_IDS.has(firstWordOf(sql))
}

/** The first word of a text, after any comments. */
function firstWordOf(sql: string): string {
  const lexer = new Lexer(sql)
  lexer.next()
  return lexer.text
}

/** Whether a cursor is declared `with hold`: it outlives its transaction, and the commit reads it to its end. */
export function outlivesTransaction(sql: string): boolean {
  return HOLDS.test(sql)
}

const CONTROLS: ReadonlySet<string> = new Set(
  'begin start commit end abort rollback savepoint release'.split(' '),
)
const TAKING_IDS: ReadonlySet<string> = new Set(['create', 'discard', 'lock'])
const HOLDS = /\bhold\b/i
