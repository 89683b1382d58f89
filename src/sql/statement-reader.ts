import { ACTIVE, CHANGES, EXPLAINED, READS, ROWLESS, SESSION_VERBS } from './key-words.ts'
import { hasOtherReading, Lexer, TOKEN } from './lexer.ts'
import { SessionSyntax, TransactionWords } from './session-syntax.ts'
import { readExplainOptions, readExplainWords } from './statement-syntax.ts'
import { PLAIN_INSERT, PLANNED, SOME_WRITE, type StatementText, unreadable } from './statement-text.ts'
import type { Watch } from './table-names.ts'
import { TokenReader } from './token-reader.ts'

/**
 * Reads the text of a statement, watching for some names. Doubt means write. Where `wantsTargets` is
 * false, a plain insert is not read to its end, however long its values are.
 */
export function readStatementText(sql: string, watch: Watch, wantsTargets = true): StatementText {
  // The server would read no further.
  if (sql.includes('\0') || hasOtherReading(sql)) return unreadable(sql)
  return new Reader(sql, watch).read(wantsTargets)
}

/** One pass over the tokens of a text. */
class Reader {
  readonly #sql: string
  readonly #lexer: Lexer
  readonly #tokens: TokenReader

  constructor(sql: string, watch: Watch) {
    this.#sql = sql
    this.#lexer = new Lexer(sql)
    this.#tokens = new TokenReader(watch)
  }

  read(wantsTargets: boolean): StatementText {
    const lexer = this.#lexer
    lexer.next()
    const first = this.#skipToFirstWord()
    const isExplained = first === 'explain' && !this.#readExplain()
    const verb = first === 'explain' ? this.#skipToFirstWord() : first
    // A temporary table, view or sequence is the session's own: nobody else will ever read it.
    if (SESSION_VERBS.has(verb) || (verb === 'create' && this.#skipToTemporary()))
      return this.#readSessionStatement(verb, isExplained)
    if (!wantsTargets && first === 'insert' && !this.#mayHoldAnother()) return PLAIN_INSERT
    while (lexer.kind !== TOKEN.end) {
      if (lexer.kind === TOKEN.unreadable) return unreadable(this.#sql)
      if (this.#tokens.beginsAnother(lexer)) return this.#readOthers(new TransactionWords(verb === 'create'))
      this.#tokens.step(lexer)
    }
    this.#tokens.endName()
    if (!this.#tokens.parentheses.areBalanced) return SOME_WRITE
    return isExplained ? PLANNED : this.#result(verb)
  }

  #result(verb: string): StatementText {
    const { calls, watched, relations, operates, effects } = this.#tokens
    const told = { ...SOME_WRITE, calls, watched, relations }
    if (READS.has(verb) && !effects.writes)
      return { ...told, kind: effects.locks ? 'locking' : 'read', operates }
    const { targets } = effects
    const isRowless = ROWLESS.has(verb) && targets?.length === 1
    const isChange = CHANGES.has(verb) || (verb === 'with' && targets !== undefined)
    return { ...told, targets, isChange, isRowless }
  }

  /** The first word, behind any parentheses; the lexer stays on it. */
  #skipToFirstWord(): string {
    while (this.#lexer.isAt('(')) this.#tokens.skipParenthesis(this.#lexer)
    return this.#lexer.kind === TOKEN.word ? this.#lexer.text : ''
  }

  /** Reads what stands between `explain` and its statement. True where that is run as well. */
  #readExplain(): boolean {
    const lexer = this.#lexer
    lexer.next()
    if (!lexer.isAt('(')) return readExplainWords(lexer)
    this.#tokens.skipParenthesis(lexer)
    // The statement itself, in parentheses: it is read as if it were run.
    if (lexer.isAt('(') || EXPLAINED.has(lexer.text)) return true
    this.#tokens.parentheses.close()
    this.#tokens.startStatement()
    return readExplainOptions(lexer)
  }

  /** Reads on from `create` to `temporary`; false where that does not follow. */
  #skipToTemporary(): boolean {
    const lexer = this.#lexer
    this.#tokens.step(lexer)
    while (lexer.isAtWord('local') || lexer.isAtWord('global')) this.#tokens.step(lexer)
    return lexer.isAtWord('temp') || lexer.isAtWord('temporary')
  }

  /** `set x = …` and the like. What it runs has a text of its own; one that is only explained runs nothing but its arguments. */
  #readSessionStatement(verb: string, isExplained: boolean): StatementText {
    const lexer = this.#lexer
    const syntax = new SessionSyntax(verb)
    const transaction = new TransactionWords()
    let innerAt: number | undefined
    for (let tokens = 0; lexer.kind !== TOKEN.end; tokens++) {
      if (lexer.kind === TOKEN.unreadable) return unreadable(this.#sql)
      if (this.#tokens.beginsAnother(lexer)) return this.#readOthers(transaction)
      if (tokens === 1 && verb === 'commit' && lexer.isAtWord('prepared')) return SOME_WRITE
      transaction.read(lexer.kind, lexer.text)
      if (innerAt === undefined && syntax.read(lexer.kind, lexer.text, this.#tokens.parentheses.depth)) {
        innerAt = lexer.begin
      }
      // Neither the name of what is executed nor the statement within is called here.
      if (innerAt === undefined && tokens > 1) this.#tokens.step(lexer)
      else this.#tokens.skip(lexer)
    }
    return {
      ...SOME_WRITE,
      kind: 'session',
      calls: verb === 'execute' ? this.#tokens.calls : [],
      transaction: transaction.effect,
      named: isExplained ? undefined : syntax.named,
      inner: isExplained || innerAt === undefined ? undefined : this.#sql.slice(innerAt),
      isVoid: isExplained || !ACTIVE.has(verb),
    }
  }

  /** Reads the statements behind the first, for what they do to the transaction of their session. */
  #readOthers(transaction: TransactionWords): StatementText {
    const lexer = this.#lexer
    for (; lexer.kind !== TOKEN.end; lexer.next()) {
      if (lexer.kind === TOKEN.unreadable) return unreadable(this.#sql)
      transaction.read(lexer.kind, lexer.text)
    }
    return { ...SOME_WRITE, transaction: transaction.effect }
  }

  /** Whether another statement may follow in the rest of the text; a semicolon in a string counts as well. */
  #mayHoldAnother(): boolean {
    return this.#sql.includes(';')
  }
}
