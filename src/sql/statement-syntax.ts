import { INFIX_WORDS, MARK, marksOf, PREFIX_WORDS } from './key-words.ts'
import { type Lexer, TOKEN } from './lexer.ts'
import type { Parentheses } from './parentheses.ts'
import type { TableName } from './table-names.ts'

/**
 * The syntax of a statement, as far as it tells a call from other parentheses and a write from a read: what the reader of a statement
 * keeps in mind while it goes from token to token.
 */

/** A name of one part or several, as it is read, and what stands before it. */
export class NameChain {
  /** The part before the last; undefined where there is none. */
  schema: string | undefined
  /** The last part; empty between names. */
  name = ''
  /** Whether it is a key word without quotes and alone. */
  isKeyWord = false
  /** What is to be known of it as a key word, one of {@link MARK} or several; 0 where it is none. */
  marks = 0
  isQuoted = false
  /** Whether it stands behind the dot of an expression: `(x).name`. */
  isAttribute = false
  /** Whether it stands where the name of a relation does. */
  isRelation = false
  #beforeKind: number = TOKEN.end
  #beforeText = ''

  begin(kind: number, text: string, beforeKind: number, beforeText: string): void {
    this.schema = undefined
    this.name = text
    this.isQuoted = kind === TOKEN.quoted
    this.marks = kind === TOKEN.word ? marksOf(text) : 0
    this.isKeyWord = this.marks !== 0
    this.isAttribute = beforeKind === TOKEN.punctuation && beforeText === '.'
    this.isRelation = false
    this.#beforeKind = beforeKind
    this.#beforeText = beforeText
  }

  /** Reads what stands behind a dot. Behind an attribute stands an attribute of it. */
  extend(kind: number, text: string): void {
    this.schema = this.isAttribute ? undefined : this.name
    this.name = text
    this.isQuoted = kind === TOKEN.quoted
    this.isKeyWord = false
    this.marks = 0
  }

  end(): void {
    this.name = ''
  }

  /** Whether this word stands before it. */
  follows(word: string): boolean {
    return this.#beforeKind === TOKEN.word && this.#beforeText === word
  }

  /** Whether a parenthesis behind the name may be that of a call. */
  get canBeCalled(): boolean {
    if (this.schema !== undefined) return true
    return (this.marks & MARK.neverCalled) === 0 && !this.#isAliasOrType()
  }

  /** Whether it can name no relation: a key word that the grammar reserves. */
  get isReserved(): boolean {
    return (this.marks & MARK.reserved) !== 0
  }

  /** Whether a type may be named here, by what stands before it. */
  isBehindType({ hasTypeBehindWord, isOfColumns }: Parentheses): boolean {
    if (this.#beforeKind === TOKEN.quoted) return isOfColumns
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === '::'
    if (this.#beforeKind !== TOKEN.word) return false
    return isOfColumns || (hasTypeBehindWord && (this.follows('as') || this.follows('returning')))
  }

  /** Whether a parenthesis behind the name is no call, unless there is a function of that name. */
  get isSyntax(): boolean {
    if (!this.isKeyWord) return false
    if (PREFIX_WORDS.has(this.name) || this.follows('fetch')) return true
    return INFIX_WORDS.has(this.name) && !this.#beginsExpression()
  }

  // Behind an opening parenthesis may also stand the frame of a window.
  #beginsExpression(): boolean {
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ',' || this.#beforeText === '['
    return this.#beforeKind === TOKEN.operator || this.follows('select')
  }

  /** Whether the name is one of a `with`, in whose head it stands. */
  get isOfWith(): boolean {
    if (this.name === '') return false
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ','
    return this.follows('with') || this.follows('recursive')
  }

  // Behind a name, a closing parenthesis, `as` or `::` there is an alias with columns, or a type with a modifier.
  #isAliasOrType(): boolean {
    if (this.#beforeKind === TOKEN.quoted) return true
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ')' || this.#beforeText === '::'
    if (this.#beforeKind !== TOKEN.word) return false
    return this.#beforeText === 'as' || this.#beforeText === 'ordinality' || marksOf(this.#beforeText) === 0
  }
}

/** What a statement writes and locks by its syntax, whatever it calls. */
export class SyntaxEffects {
  writes = false
  locks = false
  /** Whether the name being read is what an insert, update, delete or merge writes to. */
  isAtTarget = false
  #areTargetsKnown = true
  /** The word behind which the table stands. */
  #targetFollows = ''
  #wroteBefore = false
  readonly #targets: TableName[] = []

  /** The tables that are written to; undefined where they are not known for sure. */
  get targets(): readonly TableName[] | undefined {
    return this.#areTargetsKnown && this.#targets.length > 0 ? this.#targets : undefined
  }

  /** Reads a key word by the word before it; with `canBegin`, it may begin a change of a table. */
  readKeyWord(word: string, last: string, canBegin: boolean): void {
    // The name of a column in what is selected.
    if (last === 'as') return
    switch (word) {
      case 'update':
        // Where a table is awaited, one of this name.
        if (this.isAtTarget) break
        if (last === 'for' || last === 'key') this.locks = true
        // `on conflict … do update`, `when matched then update`: of what is written to already.
        else if (canBegin && last !== 'do' && last !== 'then') this.#beginTarget(word)
        break
      case 'share':
        if (last === 'for' || last === 'key') this.locks = true
        break
      case 'into':
        if (last === 'insert' || last === 'merge') this.#beginTarget(word)
        else this.#writesSomewhere() // `select … into`
        break
      case 'from':
        if (canBegin && last === 'delete') this.#beginTarget(word)
        break
    }
  }

  /** Reads a name where that of a table is awaited. */
  readTarget(table: TableName, isKeyWord: boolean): void {
    if (isKeyWord && table.table === this.#targetFollows) {
      this.#targetFollows = ''
      return
    }
    if (isKeyWord && table.table === 'only') return
    this.#targets.push(table)
    this.isAtTarget = false
  }

  /** Whether this word, the last one that was read, has begun a change of the table that follows. */
  isBegunBy(word: string): boolean {
    return this.isAtTarget && this.#targetFollows === word
  }

  /** It has not: it was the name of a function that is called, or of a column. */
  takeBack(): void {
    this.isAtTarget = false
    this.writes = this.#wroteBefore
  }

  #beginTarget(word: string): void {
    this.#wroteBefore = this.writes
    this.#targetFollows = word
    this.writes = true
    this.isAtTarget = true
  }

  #writesSomewhere(): void {
    this.writes = true
    this.#areTargetsKnown = false
  }
}

/**
 * Reads the words behind `explain`, and leaves the lexer on the statement. True where the statement is run as well.
 */
export function readExplainWords(lexer: Lexer): boolean {
  let analyzes = false
  while (isAnalyze(lexer.text) || lexer.text === 'verbose') {
    if (isAnalyze(lexer.text)) analyzes = true
    lexer.next()
  }
  return analyzes
}

/**
 * The same for options in parentheses, from the first of them on. Of one that is given twice, the last holds.
 */
export function readExplainOptions(lexer: Lexer, sql: string): boolean {
  let analyzes = false
  while (lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable && !lexer.isAt(')')) {
    if (!isAnalyze(lexer.text)) lexer.next()
    else {
      lexer.next()
      analyzes = !OFF.has(lexer.kind === TOKEN.word ? lexer.text : sql.slice(lexer.begin, lexer.end))
    }
  }
  if (lexer.isAt(')')) lexer.next()
  return analyzes
}

function isAnalyze(word: string): boolean {
  return word === 'analyze' || word === 'analyse'
}

// What else means the same is rare, and the primary explains it as well.
const OFF: ReadonlySet<string> = new Set(['false', 'off', '0', "'false'", "'off'"])

/** Whether a `copy` gives its rows to the client alone, as it is read token by token. */
export class CopySyntax {
  #direction = ''
  #target = ''

  /** Whether it is `to stdout`: neither a file nor a program is written to, nor a table. */
  get isToClient(): boolean {
    return this.#direction === 'to' && this.#target === 'stdout'
  }

  /** Reads the next token, outside any parentheses where `depth` is 0. */
  read(kind: number, text: string, depth: number): void {
    if (depth > 0) return
    const word = kind === TOKEN.word ? text : ''
    if (this.#direction === '') {
      if (word === 'to' || word === 'from') this.#direction = word
    } else if (this.#target === '') this.#target = word === '' ? 'other' : word
  }
}
