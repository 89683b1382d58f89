import {
  CHANGES,
  EXPLAINED,
  MAY_WRITE_VERBS,
  NEEDS_ROWS,
  READS,
  SESSION_VERBS,
  SURELY_EXPLAINED,
} from './key-words.ts'
import { hasOtherReading, Lexer, TOKEN } from './lexer.ts'
import { SessionSyntax } from './session-syntax.ts'
import { CopySyntax, readExplainOptions, readExplainWords } from './statement-syntax.ts'
import { ONLY_EXPLAINED, PLAIN_INSERT, SOME_WRITE, type StatementText, unreadable } from './statement-text.ts'
import type { WatchedNames } from './table-names.ts'
import { TokenReader } from './token-reader.ts'
import { TransactionWords } from './transaction-words.ts'

/**
 * Reads the text of a statement, and notes the names in it that are in `watch`. Doubt means write. If `wantsTargets`
 * is false, a plain insert is not read to its end, because its values may be long.
 */
export function readStatementText(sql: string, watch: WatchedNames, wantsTargets = true): StatementText {
  // The server reads a text only up to a NUL.
  if (sql.includes('\0') || hasOtherReading(sql)) return unreadable(sql)
  return new Reader(sql, watch).read(wantsTargets)
}

/** One pass over the tokens of a text. */
class Reader {
  readonly #sql: string
  readonly #lexer: Lexer
  readonly #tokens: TokenReader

  constructor(sql: string, watch: WatchedNames) {
    this.#sql = sql
    this.#lexer = new Lexer(sql)
    this.#tokens = new TokenReader(watch)
  }

  read(wantsTargets: boolean): StatementText {
    const lexer = this.#lexer
    const tokens = this.#tokens
    lexer.next()
    let { first, isExplained, verb } = this.#readVerb()
    // A temporary table, view or sequence belongs to its session. No other session reads it.
    if (SESSION_VERBS.has(verb) || (verb === 'create' && this.#skipToTemporary()))
      return this.#readSessionStatement(verb, isExplained)
    if (!wantsTargets && first === 'insert' && !this.#mayHoldAnother()) return PLAIN_INSERT
    const copy = verb === 'copy' ? this.#readCopied() : undefined
    let isSeveral = false
    while (lexer.kind !== TOKEN.end) {
      if (lexer.kind === TOKEN.unreadable) return unreadable(this.#sql)
      if (tokens.beginsAnother(lexer)) {
        const wasRead = READS.has(verb) && !tokens.effects.writes && tokens.parentheses.areBalanced
        if (!wasRead) return this.#readOthers(new TransactionWords(verb === 'create'))
        tokens.startStatement()
        ;({ isExplained, verb } = this.#readVerb())
        if (!READS.has(verb)) return this.#readOthers(new TransactionWords(verb === 'create'))
        isSeveral = true
        continue
      }
      copy?.read(lexer.kind, lexer.text, tokens.parentheses.depth)
      tokens.step(lexer)
    }
    tokens.endName()
    if (!tokens.parentheses.areBalanced) return SOME_WRITE
    if (copy?.isToClient === true && !tokens.effects.writes)
      return { ...this.#result('select'), isCopy: true }
    // In a text of several statements, a statement that is only explained counts as run.
    if (!isExplained || isSeveral) return { ...this.#result(verb), isSeveral }
    const { calls, watched, operates } = tokens
    return { ...ONLY_EXPLAINED, calls, watched, operates }
  }

  /** Reads the first words of a statement, with `explain` and its options. The lexer stays on the verb. */
  #readVerb(): { readonly first: string; readonly isExplained: boolean; readonly verb: string } {
    const first = this.#skipToFirstWord()
    if (first !== 'explain') return { first, isExplained: false, verb: first }
    const isExplained = !this.#readExplain()
    return { first, isExplained, verb: this.#skipToFirstWord() }
  }

  /** Reads a `copy` up to the end of the table's name. A query in parentheses is read later, like any other. */
  #readCopied(): CopySyntax {
    const lexer = this.#lexer
    const tokens = this.#tokens
    tokens.step(lexer)
    if (lexer.isAtWord('binary')) tokens.step(lexer)
    tokens.expectRelation()
    let isBehindDot = true
    while (lexer.kind === TOKEN.word || lexer.kind === TOKEN.quoted || lexer.isAt('.')) {
      if (!isBehindDot && !lexer.isAt('.')) break
      isBehindDot = lexer.isAt('.')
      tokens.step(lexer)
    }
    // Parentheses after the name hold columns, not arguments.
    tokens.endName()
    return new CopySyntax()
  }

  #result(verb: string): StatementText {
    const { calls, watched, relations, operates, effects } = this.#tokens
    const told = { ...SOME_WRITE, calls, watched, relations }
    if (READS.has(verb) && !effects.writes)
      return { ...told, kind: effects.locks ? 'locking' : 'read', operates }
    const { targets } = effects
    const changesOneTable = NEEDS_ROWS.has(verb) && targets?.length === 1
    const isChange = CHANGES.has(verb) || (verb === 'with' && targets !== undefined)
    return { ...told, targets, isChange, changesOneTable }
  }

  /** Gives the first word, after any parentheses. The lexer stays on it. */
  #skipToFirstWord(): string {
    while (this.#lexer.isAt('(')) this.#tokens.skipParenthesis(this.#lexer)
    return this.#lexer.kind === TOKEN.word ? this.#lexer.text : ''
  }

  /** Reads the words or options between `explain` and its statement. Gives true if the statement is run as well. */
  #readExplain(): boolean {
    const lexer = this.#lexer
    lexer.next()
    if (!lexer.isAt('(')) return readExplainWords(lexer)
    this.#tokens.skipParenthesis(lexer)
    // The statement itself is in these parentheses: no option has the name of a reserved key word.
    if (lexer.isAt('(') || SURELY_EXPLAINED.has(lexer.text)) return false
    // In doubt, the statement counts as run.
    if (EXPLAINED.has(lexer.text)) return true
    this.#tokens.parentheses.close()
    this.#tokens.startStatement()
    return readExplainOptions(lexer, this.#sql)
  }

  /** Reads from `create` to `temporary`. Gives false if that does not follow. */
  #skipToTemporary(): boolean {
    const lexer = this.#lexer
    this.#tokens.step(lexer)
    while (lexer.isAtWord('local') || lexer.isAtWord('global')) this.#tokens.step(lexer)
    return lexer.isAtWord('temp') || lexer.isAtWord('temporary')
  }

  /**
   * Reads a statement about the session, such as `set x = …`. If it runs, prepares or declares a statement, that text
   * is the result's `inner`. If it is only explained, it runs only its arguments.
   */
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
      // The name of a prepared statement is no call. The inner statement is read by itself.
      if (innerAt === undefined && tokens > 1) this.#tokens.step(lexer)
      else this.#tokens.skip(lexer)
    }
    return {
      ...SOME_WRITE,
      kind: 'session',
      ...(verb === 'execute' && { calls: this.#tokens.calls, watched: this.#tokens.watched }),
      transaction: transaction.effect,
      named: isExplained ? undefined : syntax.named,
      inner: isExplained || innerAt === undefined ? undefined : this.#sql.slice(innerAt),
      isHarmlessSession: isExplained || !MAY_WRITE_VERBS.has(verb),
    }
  }

  /**
   * Reads the rest of a text only to find what it does to the transaction of its session. The text counts as a write.
   */
  #readOthers(transaction: TransactionWords): StatementText {
    const lexer = this.#lexer
    for (; lexer.kind !== TOKEN.end; lexer.next()) {
      if (lexer.kind === TOKEN.unreadable) return unreadable(this.#sql)
      transaction.read(lexer.kind, lexer.text)
    }
    return { ...SOME_WRITE, transaction: transaction.effect }
  }

  /** Whether the text may hold another statement. A semicolon in a string counts as well. */
  #mayHoldAnother(): boolean {
    return this.#sql.includes(';')
  }
}
