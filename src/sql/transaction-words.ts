import { TOKEN } from './lexer.ts'
import type { TransactionEffect } from './statement-text.ts'

/**
 * Follows what the statements of a text do to the transaction of their session, word by word
 * (https://www.postgresql.org/docs/current/sql-begin.html, sql-commit.html, sql-prepare-transaction.html). In doubt a transaction goes on.
 */
export class TransactionWords {
  #effect: TransactionEffect
  #statement: TransactionEffect
  #verb = ''
  #last = ''
  /** How many tokens the current statement has so far. */
  #tokens = 0
  /** Whether semicolons may also part the statements within the body of a function: then an `end` may be that of the body. */
  #hasBody: boolean

  constructor(hasBody = false) {
    this.#hasBody = hasBody
  }

  /** What the statements that were read leave. */
  get effect(): TransactionEffect {
    const effect = this.#statement ?? this.#effect
    return effect === 'ends' && this.#hasBody ? undefined : effect
  }

  /** Reads the next token; a semicolon ends a statement. */
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
    else if (ENDS.has(word)) this.#statement = 'ends'
  }

  #readOther(kind: number, word: string): void {
    if (word === 'atomic' && this.#last === 'begin') this.#hasBody = true
    if (this.#verb === 'prepare') {
      // `prepare transaction as …` prepares a statement of that name.
      if (this.#tokens === 3 && this.#last === 'transaction' && kind === TOKEN.string)
        this.#statement = 'ends'
    } else if (ENDS.has(this.#verb)) {
      if (word === 'to' || (word === 'prepared' && this.#tokens === 2)) this.#statement = undefined
      if (word === 'chain' && this.#last === 'and') this.#statement = 'begins'
    }
  }

  #endStatement(): void {
    this.#effect = this.#statement ?? this.#effect
    this.#statement = undefined
    this.#verb = ''
    this.#last = ''
    this.#tokens = 0
  }
}

const BEGINS: ReadonlySet<string> = new Set(['begin', 'start'])
const ENDS: ReadonlySet<string> = new Set(['commit', 'end', 'abort', 'rollback'])
