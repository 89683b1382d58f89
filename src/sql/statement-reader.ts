import { ACTIVE, CHANGES, EXPLAINED, READS, ROWLESS, SESSION_VERBS, WRITE_WORDS } from './key-words.ts'
import { hasOtherReading, Lexer, TOKEN } from './lexer.ts'
import { Parentheses } from './parentheses.ts'
import { operatorsIn } from './scan.ts'
import { SessionSyntax, TransactionWords } from './session-syntax.ts'
import { NameChain, readExplainOptions, readExplainWords, SyntaxEffects } from './statement-syntax.ts'
import {
  type FunctionCall,
  PLAIN_INSERT,
  PLANNED,
  SOME_WRITE,
  type StatementText,
  unreadable,
} from './statement-text.ts'
import type { TableName, Watch } from './table-names.ts'

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
  readonly #watch: Watch
  readonly #calls: FunctionCall[] = []
  readonly #watched: TableName[] = []
  readonly #parentheses = new Parentheses()
  readonly #chain = new NameChain()
  readonly #effects = new SyntaxEffects()
  /** The token before the current one; a quoted identifier has no text here, so that it is never taken for a word. */
  #lastKind: number = TOKEN.end
  #lastText = ''

  constructor(sql: string, watch: Watch) {
    this.#sql = sql
    this.#lexer = new Lexer(sql)
    this.#watch = watch
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
      if (this.#beginsAnother()) return this.#readOthers(new TransactionWords(verb === 'create'))
      this.#step()
    }
    this.#endName()
    if (!this.#parentheses.areBalanced) return SOME_WRITE
    return isExplained ? PLANNED : this.#result(verb)
  }

  /** Reads the current token, and goes on to the next. */
  #step(): void {
    const lexer = this.#lexer
    this.#lastKind = this.#readToken()
    this.#lastText = lexer.kind === TOKEN.quoted ? '' : lexer.text
    lexer.next()
  }

  #result(verb: string): StatementText {
    const calls = this.#calls
    const watched = this.#watched
    if (READS.has(verb) && !this.#effects.writes)
      return { ...SOME_WRITE, kind: this.#effects.locks ? 'locking' : 'read', calls, watched }
    const { targets } = this.#effects
    const isRowless = ROWLESS.has(verb) && targets?.length === 1
    const isChange = CHANGES.has(verb) || (verb === 'with' && targets !== undefined)
    return { ...SOME_WRITE, calls, watched, targets, isChange, isRowless }
  }

  /** The first word, behind any parentheses; the lexer stays on it. */
  #skipToFirstWord(): string {
    while (this.#lexer.isAt('(')) this.#skipParenthesis()
    return this.#lexer.kind === TOKEN.word ? this.#lexer.text : ''
  }

  #skipParenthesis(): void {
    this.#parentheses.open()
    this.#lastKind = TOKEN.punctuation
    this.#lastText = '('
    this.#lexer.next()
  }

  /** Reads what stands between `explain` and its statement. True where that is run as well. */
  #readExplain(): boolean {
    const lexer = this.#lexer
    lexer.next()
    if (!lexer.isAt('(')) return readExplainWords(lexer)
    this.#skipParenthesis()
    // The statement itself, in parentheses: it is read as if it were run.
    if (lexer.isAt('(') || EXPLAINED.has(lexer.text)) return true
    this.#parentheses.close()
    this.#lastKind = TOKEN.end
    return readExplainOptions(lexer)
  }

  /** Reads on from `create` to `temporary`; false where that does not follow. */
  #skipToTemporary(): boolean {
    const lexer = this.#lexer
    this.#step()
    while (lexer.isAtWord('local') || lexer.isAtWord('global')) this.#step()
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
      if (this.#beginsAnother()) return this.#readOthers(transaction)
      if (tokens === 1 && verb === 'commit' && lexer.isAtWord('prepared')) return SOME_WRITE
      transaction.read(lexer.kind, lexer.text)
      if (innerAt === undefined && syntax.read(lexer.kind, lexer.text, this.#parentheses.depth)) {
        innerAt = lexer.begin
      }
      // Neither the name of what is executed nor the statement within is called here.
      if (innerAt === undefined && tokens > 1) this.#step()
      else this.#skip()
    }
    return {
      ...SOME_WRITE,
      kind: 'session',
      calls: verb === 'execute' ? this.#calls : [],
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

  /** Goes on to the next token without reading the current one. */
  #skip(): void {
    const lexer = this.#lexer
    this.#lastKind = lexer.kind
    this.#lastText = lexer.kind === TOKEN.quoted ? '' : lexer.text
    lexer.next()
  }

  /** Whether another statement may follow in the rest of the text; a semicolon in a string counts as well. */
  #mayHoldAnother(): boolean {
    return this.#sql.includes(';')
  }

  /** Whether a semicolon came before this token, which is not another: several statements in one text. */
  #beginsAnother(): boolean {
    if (this.#lastText !== ';' || this.#lastKind !== TOKEN.punctuation) return false
    return !this.#lexer.isAt(';')
  }

  /** Reads the current token, and gives the kind that it is to what follows. */
  #readToken(): number {
    const { kind, text } = this.#lexer
    if (kind === TOKEN.word || kind === TOKEN.quoted) this.#readNamePart(kind, text)
    else if (kind === TOKEN.operator) this.#readOperator(text)
    else if (kind !== TOKEN.punctuation) this.#endName()
    else if (text === '(') {
      this.#readParenthesis()
      this.#parentheses.open()
    } else if (text === ')') {
      this.#endName()
      // Behind `distinct on (…)` and `operator(…)` stands an expression, not an alias.
      return this.#parentheses.close() ? TOKEN.operator : kind
    } else if (text !== '.') this.#endName()
    return kind
  }

  #readNamePart(kind: number, text: string): void {
    const chain = this.#chain
    if (chain.name !== '' && this.#isLast('.')) {
      chain.extend(kind, text)
      return
    }
    this.#endName()
    chain.begin(kind, text, this.#lastKind, this.#lastText)
    if (chain.isKeyWord && TELLING.has(text)) this.#readKeyWord(text)
  }

  /** What a key word means by where it stands. */
  #readKeyWord(word: string): void {
    const last = this.#lastKind === TOKEN.word ? this.#lastText : ''
    this.#effects.readKeyWord(word, last)
    if (word === 'with') {
      if (this.#lastKind === TOKEN.end || this.#isLast('(')) this.#parentheses.isInWithHead = true
    } else if (word === 'on') {
      if (last === 'distinct') this.#parentheses.expectPrefix()
    } else if (AFTER_WITH.has(word)) this.#parentheses.isInWithHead = false
  }

  #isLast(punctuation: string): boolean {
    return this.#lastKind === TOKEN.punctuation && this.#lastText === punctuation
  }

  /** A parenthesis: behind a name it is a call, unless the name cannot be one there. */
  #readParenthesis(): void {
    const chain = this.#chain
    if (this.#parentheses.isInWithHead) {
      const isBody = this.#lastKind === TOKEN.word && WITH_BODY_FOLLOWS.has(this.#lastText)
      const isPartOfHead = isBody || chain.isOfWith
      if (!isPartOfHead) this.#parentheses.isInWithHead = false
      else chain.end()
    }
    if (chain.name === '') return
    if (chain.canBeCalled && !this.#effects.isAtTarget) {
      this.#calls.push({
        schema: chain.schema,
        name: chain.name,
        isKeyWord: chain.isSyntax || (this.#effects.writes && chain.isKeyWord && WRITE_WORDS.has(chain.name)),
      })
    }
    if (chain.isKeyWord && chain.name === 'operator') this.#parentheses.expectPrefix()
    this.#endName()
  }

  /** What has been read as a name is one: it may be watched, or what is written to. */
  #endName(): void {
    const { schema, name, isQuoted, isKeyWord } = this.#chain
    if (name === '') return
    if (this.#watch.has(isQuoted ? name.toLowerCase() : name)) this.#watched.push({ schema, table: name })
    if (this.#effects.isAtTarget) this.#effects.readTarget({ schema, table: name }, isKeyWord)
    this.#chain.end()
  }

  #readOperator(token: string): void {
    this.#endName()
    for (const operator of operatorsIn(token)) {
      if (this.#watch.has(operator)) this.#watched.push({ table: operator })
    }
  }
}

const WITH_BODY_FOLLOWS = new Set(['as', 'materialized'])
// The key words that mean something by where they stand; those that begin the statement behind the head of a `with`.
const AFTER_WITH = new Set(['select', 'values', 'table', 'insert', 'merge', 'delete', 'update'])
const TELLING = new Set([...AFTER_WITH, 'with', 'share', 'into', 'from', 'on'])
