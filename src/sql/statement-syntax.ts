import { FLAG, flagsOf, INFIX_WORDS, PREFIX_WORDS } from './key-words.ts'
import { type Lexer, TOKEN } from './lexer.ts'
import type { Parentheses } from './parentheses.ts'
import type { TableName } from './table-names.ts'

/**
 * The syntax that is needed to tell a call from other parentheses, and a write from a read. The classes here hold the
 * state of the reader between two tokens.
 */

/** A name of one or several parts, as it is read, and the token before it. */
export class NameChain {
  /** The part before the last; undefined if there is none. */
  schema: string | undefined
  /** The last part; empty between names. */
  name = ''
  /** Whether it is a key word, without quotes and without other parts. */
  isKeyWord = false
  /** The facts on it as a key word, as bits of {@link FLAG}; 0 if it is none. */
  flags = 0
  isQuoted = false
  /** Whether it follows the dot of an expression: `(x).name`. */
  isAttribute = false
  /** Whether it stands in the place of a relation's name. */
  isRelation = false
  #beforeKind: number = TOKEN.end
  #beforeText = ''

  begin(kind: number, text: string, beforeKind: number, beforeText: string): void {
    this.schema = undefined
    this.name = text
    this.isQuoted = kind === TOKEN.quoted
    this.flags = kind === TOKEN.word ? flagsOf(text) : 0
    this.isKeyWord = this.flags !== 0
    this.isAttribute = beforeKind === TOKEN.punctuation && beforeText === '.'
    this.isRelation = false
    this.#beforeKind = beforeKind
    this.#beforeText = beforeText
  }

  /** Reads the part after a dot. After an attribute, this part is an attribute too. */
  extend(kind: number, text: string): void {
    this.schema = this.isAttribute ? undefined : this.name
    this.name = text
    this.isQuoted = kind === TOKEN.quoted
    this.isKeyWord = false
    this.flags = 0
  }

  end(): void {
    this.name = ''
  }

  /** Whether this word comes right before the name. */
  follows(word: string): boolean {
    return this.#beforeKind === TOKEN.word && this.#beforeText === word
  }

  /** Whether a parenthesis after the name may be that of a call. */
  get canBeCalled(): boolean {
    if (this.schema !== undefined) return true
    return (this.flags & FLAG.neverCalled) === 0 && !this.#isAliasOrType()
  }

  /** Whether it cannot name a relation, because it is a reserved key word. */
  get isReserved(): boolean {
    return (this.flags & FLAG.reserved) !== 0
  }

  /** Whether the name may be that of a type, by the token before it. */
  isBehindType({ hasTypeBehindWord, isOfColumns }: Parentheses): boolean {
    if (this.#beforeKind === TOKEN.quoted) return isOfColumns
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === '::'
    if (this.#beforeKind !== TOKEN.word) return false
    return isOfColumns || (hasTypeBehindWord && (this.follows('as') || this.follows('returning')))
  }

  /** Whether a parenthesis after the name is syntax, and no call, unless there is a function of that name. */
  get isSyntax(): boolean {
    if (!this.isKeyWord) return false
    if (PREFIX_WORDS.has(this.name) || this.follows('fetch')) return true
    return INFIX_WORDS.has(this.name) && !this.#beginsExpression()
  }

  // An opening parenthesis does not count: the frame of a window may begin after it, too.
  #beginsExpression(): boolean {
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ',' || this.#beforeText === '['
    return this.#beforeKind === TOKEN.operator || this.follows('select')
  }

  /** Whether the name, which is in the head of a `with`, is that of a common table. */
  get isOfWith(): boolean {
    if (this.name === '') return false
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ','
    return this.follows('with') || this.follows('recursive')
  }

  // After a name, a closing parenthesis, `as` or `::` comes an alias with columns, or a type with a modifier.
  #isAliasOrType(): boolean {
    if (this.#beforeKind === TOKEN.quoted) return true
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ')' || this.#beforeText === '::'
    if (this.#beforeKind !== TOKEN.word) return false
    return this.#beforeText === 'as' || this.#beforeText === 'ordinality' || flagsOf(this.#beforeText) === 0
  }
}

/** What a statement writes and locks by its syntax, whatever it calls. */
export class SyntaxEffects {
  writes = false
  locks = false
  /** Whether the name being read is what an insert, update, delete or merge writes to. */
  isAtTarget = false
  #areTargetsKnown = true
  /** The word that the table's name follows. */
  #targetFollows = ''
  #wroteBefore = false
  readonly #targets: TableName[] = []

  /** The tables that are written to; undefined if they are not known for sure. */
  get targets(): readonly TableName[] | undefined {
    return this.#areTargetsKnown && this.#targets.length > 0 ? this.#targets : undefined
  }

  /** Reads a key word; `last` is the word before it. With `canBegin`, it may begin a change of a table. */
  readKeyWord(word: string, last: string, canBegin: boolean): void {
    // After `as` comes the name of a column.
    if (last === 'as') return
    switch (word) {
      case 'update':
        // In the place of a table's name, this is a table named `update`.
        if (this.isAtTarget) break
        if (last === 'for' || last === 'key') this.locks = true
        // `on conflict … do update` and `when matched then update` change the table that is written to already.
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

  /** Reads a name in the place of a table's name. */
  readTarget(table: TableName, isKeyWord: boolean): void {
    if (isKeyWord && table.table === this.#targetFollows) {
      this.#targetFollows = ''
      return
    }
    if (isKeyWord && table.table === 'only') return
    this.#targets.push(table)
    this.isAtTarget = false
  }

  /** Whether this word began the change whose table name comes next. */
  isBegunBy(word: string): boolean {
    return this.isAtTarget && this.#targetFollows === word
  }

  /** Takes the begun change back: its word was the name of a column, or of a function that is called. */
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

/** Reads the words after `explain`. The lexer stays on the statement. Gives true if the statement is run as well. */
export function readExplainWords(lexer: Lexer): boolean {
  let analyzes = false
  while (isAnalyze(lexer.text) || lexer.text === 'verbose') {
    if (isAnalyze(lexer.text)) analyzes = true
    lexer.next()
  }
  return analyzes
}

/** The same for options in parentheses, from the first option on. If an option is given twice, the last one holds. */
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

// Other ways to write this are rare. With those the statement counts as run, so the primary explains it.
const OFF: ReadonlySet<string> = new Set(['false', 'off', '0', "'false'", "'off'"])

/** Reads a `copy` token by token, to find whether it gives its rows to the client only. */
export class CopySyntax {
  #direction = ''
  #target = ''

  /** Whether it is `to stdout`: it writes to no file, no program and no table. */
  get isToClient(): boolean {
    return this.#direction === 'to' && this.#target === 'stdout'
  }

  /** Reads the next token. `depth` is 0 outside parentheses. */
  read(kind: number, text: string, depth: number): void {
    if (depth > 0) return
    const word = kind === TOKEN.word ? text : ''
    if (this.#direction === '') {
      if (word === 'to' || word === 'from') this.#direction = word
    } else if (this.#target === '') this.#target = word === '' ? 'other' : word
  }
}
