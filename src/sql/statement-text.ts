import { KEY_WORDS, NEVER_CALLED } from './key-words.ts'
import { Lexer, TOKEN } from './lexer.ts'
import type { TableName } from './table-name.ts'

/** Something that could be the call of a function, as a text writes it. */
export interface FunctionCall {
  readonly schema: string | undefined
  readonly name: string
  /** Whether it is a key word, which is syntax unless there is a function of that name. */
  readonly isKeyWord: boolean
}

/** What the text of one statement tells, whatever functions there are. */
export interface StatementText {
  /**
   * `'read'`: a single select, values, table, show or explain without anything that locks or writes by its syntax.
   * `'session'`: it is about the session or its transaction. `'write'`: everything else, also what cannot be read.
   */
  readonly kind: 'read' | 'locking' | 'session' | 'write'
  /** Whatever could be a call of a function. */
  readonly calls: readonly FunctionCall[]
  /** The names in it that the caller watches. */
  readonly watched: readonly TableName[]
  /** The tables that it writes to; undefined where they are not known for sure. */
  readonly targets: readonly TableName[] | undefined
  /** Whether it is a single insert, update, delete or merge: where the server refuses it, it has no effect. */
  readonly isChange: boolean
  /** Whether it is an update, delete or merge of one table, which of no row has no effect. */
  readonly isRowless: boolean
}

/**
 * Reads the text of a statement, watching for some names, in lower case. Doubt means write. Where `wantsTargets` is
 * false, a plain insert, update, delete or merge is not read to its end, however long its values are.
 */
export function readStatementText(
  sql: string,
  watch: ReadonlySet<string>,
  wantsTargets = true,
): StatementText {
  return new Reader(sql, watch).read(wantsTargets)
}

/** One pass over the tokens of a text. */
class Reader {
  readonly #sql: string
  readonly #lexer: Lexer
  readonly #watch: ReadonlySet<string>
  readonly #calls: FunctionCall[] = []
  readonly #watched: TableName[] = []
  readonly #targets: TableName[] = []
  #areTargetsKnown = true
  #writes = false
  #locks = false
  /** The token before the current one. */
  #lastKind: number = TOKEN.end
  #lastText = ''
  /** The name that is being read, part by part, and the token before it. */
  #schema: string | undefined
  #name = ''
  #isQuoted = false
  #isBareKeyWord = false
  #beforeKind: number = TOKEN.end
  #beforeText = ''
  /** Whether the name being read is what an insert, update, delete or merge writes to. */
  #isTarget = false
  #depth = 0
  /** At which depths the head of a `with` is being read, where names have columns and bodies but nothing is called. */
  readonly #withHeads: boolean[] = []
  /** The depth within the parentheses of `distinct on (…)` or `operator(…)`, which an expression may follow; or -1. */
  #prefixDepth = -1
  #isPrefixNext = false

  constructor(sql: string, watch: ReadonlySet<string>) {
    this.#sql = sql
    this.#lexer = new Lexer(sql)
    this.#watch = watch
  }

  read(wantsTargets: boolean): StatementText {
    const lexer = this.#lexer
    lexer.next()
    const first = this.#skipToFirstWord()
    const isExplained = first === 'explain' && !this.#readExplainOptions()
    const verb = first === 'explain' ? this.#skipToFirstWord() : first
    if (SESSION.has(verb)) return this.#readSessionStatement()
    if (!wantsTargets && CHANGES.has(first) && !this.#mayHoldAnother()) return changeOf(first)
    while (lexer.kind !== TOKEN.end) {
      if (lexer.kind === TOKEN.unreadable || this.#beginsAnother()) return SOME_WRITE
      this.#lastKind = this.#readToken()
      this.#lastText = lexer.text
      lexer.next()
    }
    this.#endName()
    if (this.#depth !== 0) return SOME_WRITE
    return this.#result(verb, isExplained)
  }

  #result(verb: string, isExplained: boolean): StatementText {
    const isRead = READS.has(verb) && !this.#writes
    if (!isRead && !isExplained) {
      const targets = this.#areTargetsKnown && this.#targets.length > 0 ? this.#targets : undefined
      const isRowless = ROWLESS.has(verb) && targets?.length === 1
      const isChange = CHANGES.has(verb) || (verb === 'with' && targets !== undefined)
      return { kind: 'write', calls: this.#calls, watched: this.#watched, targets, isChange, isRowless }
    }
    // What is only explained is planned, and neither writes nor locks nor calls anything that is volatile.
    const kind = this.#locks && !isExplained ? 'locking' : 'read'
    const calls = isExplained ? [] : this.#calls
    return { ...SOME_WRITE, kind, calls, watched: this.#watched }
  }

  /** The first word, behind any parentheses; the lexer stays on it. */
  #skipToFirstWord(): string {
    const lexer = this.#lexer
    while (this.#isAt('(')) {
      this.#openParenthesis()
      this.#lastKind = TOKEN.punctuation
      this.#lastText = '('
      lexer.next()
    }
    return lexer.kind === TOKEN.word ? lexer.text : ''
  }

  /** Reads `explain`'s options, and leaves the lexer on the statement. True where it is run as well. */
  #readExplainOptions(): boolean {
    const lexer = this.#lexer
    let analyzes = false
    lexer.next()
    if (this.#isAt('(')) {
      lexer.next()
      // Anything but options is the statement itself, in parentheses: it is read as if it were run.
      if (lexer.kind !== TOKEN.word || STATEMENTS.has(lexer.text)) {
        this.#openParenthesis()
        this.#lastKind = TOKEN.punctuation
        this.#lastText = '('
        return true
      }
      while (!this.#isAtEnd() && !this.#isAt(')')) {
        // Whatever value it is given: `analyze false` is rare, and the primary explains it as well.
        if (isAnalyze(lexer.text)) analyzes = true
        lexer.next()
      }
      if (this.#isAt(')')) lexer.next()
      return analyzes
    }
    while (isAnalyze(lexer.text) || lexer.text === 'verbose') {
      if (isAnalyze(lexer.text)) analyzes = true
      lexer.next()
    }
    return analyzes
  }

  /** `set x = …` and the like: nothing of it matters but whether it is alone. */
  #readSessionStatement(): StatementText {
    const lexer = this.#lexer
    while (lexer.kind !== TOKEN.end) {
      if (lexer.kind === TOKEN.unreadable || this.#beginsAnother()) return SOME_WRITE
      this.#lastKind = lexer.kind
      this.#lastText = lexer.text
      lexer.next()
    }
    return SESSION_STATEMENT
  }

  /** Whether another statement may follow in the rest of the text; a semicolon in a string counts as well. */
  #mayHoldAnother(): boolean {
    return this.#sql.includes(';')
  }

  /** Whether a semicolon came before this token, which is not another: several statements in one text. */
  #beginsAnother(): boolean {
    if (this.#lastText !== ';' || this.#lastKind !== TOKEN.punctuation) return false
    return !this.#isAt(';')
  }

  /** Reads the current token, and gives the kind that it is to what follows. */
  #readToken(): number {
    const { kind, text } = this.#lexer
    if (kind === TOKEN.word || kind === TOKEN.quoted) this.#readNamePart(kind, text)
    else if (kind !== TOKEN.punctuation) this.#endName()
    else if (text === '(') {
      this.#readCall()
      this.#openParenthesis()
    } else if (text === ')') {
      this.#endName()
      this.#depth--
      if (this.#prefixDepth !== this.#depth + 1) return kind
      this.#prefixDepth = -1
      return TOKEN.operator
    } else if (text !== '.') this.#endName()
    return kind
  }

  #isAt(punctuation: string): boolean {
    return this.#lexer.kind === TOKEN.punctuation && this.#lexer.text === punctuation
  }

  #isAtEnd(): boolean {
    return this.#lexer.kind === TOKEN.end || this.#lexer.kind === TOKEN.unreadable
  }

  #openParenthesis(): void {
    this.#depth++
    this.#withHeads[this.#depth] = false
    if (!this.#isPrefixNext) return
    this.#isPrefixNext = false
    this.#prefixDepth = this.#depth
  }

  #readNamePart(kind: number, text: string): void {
    const isAfterDot = this.#lastKind === TOKEN.punctuation && this.#lastText === '.' && this.#name !== ''
    if (isAfterDot) {
      this.#schema = this.#name
      this.#isBareKeyWord = false
    } else {
      this.#endName()
      this.#beforeKind = this.#lastKind
      this.#beforeText = this.#lastText
      this.#isBareKeyWord = kind === TOKEN.word && KEY_WORDS.has(text)
      if (this.#isBareKeyWord) this.#readKeyWord(text)
    }
    this.#name = text
    this.#isQuoted = kind === TOKEN.quoted
  }

  /** What a key word does by where it stands. */
  #readKeyWord(word: string): void {
    const last = this.#lastKind === TOKEN.word ? this.#lastText : ''
    const isFirst =
      this.#lastKind === TOKEN.end || (this.#lastKind === TOKEN.punctuation && this.#lastText === '(')
    const isInHead = this.#withHeads[this.#depth] === true
    switch (word) {
      case 'with':
        if (isFirst) this.#withHeads[this.#depth] = true
        break
      case 'select':
      case 'values':
      case 'table':
      case 'insert':
      case 'merge':
      case 'delete':
        this.#withHeads[this.#depth] = false
        break
      case 'update':
        if (last === 'for' || last === 'key') this.#locks = true
        else if (isFirst || isInHead) this.#beginTarget()
        this.#withHeads[this.#depth] = false
        break
      case 'share':
        if (last === 'for' || last === 'key') this.#locks = true
        break
      case 'into':
        if (last === 'insert' || last === 'merge') this.#beginTarget()
        else this.#writesSomewhere() // `select … into`
        break
      case 'from':
        if (last === 'delete') this.#beginTarget()
        break
      case 'on':
        if (last === 'distinct') this.#isPrefixNext = true
        break
    }
  }

  #beginTarget(): void {
    this.#writes = true
    this.#isTarget = true
  }

  #writesSomewhere(): void {
    this.#writes = true
    this.#areTargetsKnown = false
  }

  /** A parenthesis: behind a name it is a call, unless the name cannot be one there. */
  #readCall(): void {
    if (this.#withHeads[this.#depth] === true && this.#isPartOfHead()) {
      this.#endName()
      return
    }
    this.#withHeads[this.#depth] = false
    if (this.#name === '' || this.#lastText === '.') return
    const isCall = this.#schema !== undefined || !(this.#isNeverCalled() || this.#isAliasOrType())
    if (isCall && !this.#isTarget) {
      this.#calls.push({ schema: this.#schema, name: this.#name, isKeyWord: this.#isBareKeyWord })
    }
    if (this.#isBareKeyWord && this.#name === 'operator') this.#isPrefixNext = true
    this.#endName()
  }

  /** Whether a parenthesis in the head of a `with` holds the columns or the body of a CTE. */
  #isPartOfHead(): boolean {
    if (this.#lastText === 'as' || this.#lastText === 'materialized') return this.#lastKind === TOKEN.word
    if (this.#beforeKind === TOKEN.punctuation) return this.#name !== '' && this.#beforeText === ','
    return this.#name !== '' && (this.#beforeText === 'with' || this.#beforeText === 'recursive')
  }

  #isNeverCalled(): boolean {
    return this.#isBareKeyWord && NEVER_CALLED.has(this.#name)
  }

  /** Behind a name, a closing parenthesis, `as` or `::` there is an alias with columns, or a type with a modifier. */
  #isAliasOrType(): boolean {
    if (this.#beforeKind === TOKEN.quoted) return true
    if (this.#beforeKind === TOKEN.punctuation) return this.#beforeText === ')' || this.#beforeText === '::'
    if (this.#beforeKind !== TOKEN.word) return false
    return ALIAS_FOLLOWS.has(this.#beforeText) || !KEY_WORDS.has(this.#beforeText)
  }

  /** What has been read as a name is one: it may be watched, or what is written to. */
  #endName(): void {
    if (this.#name === '') return
    if (this.#watch.has(this.#isQuoted ? this.#name.toLowerCase() : this.#name))
      this.#watched.push({ schema: this.#schema, table: this.#name })
    if (this.#isTarget && !(this.#isBareKeyWord && NOT_A_TARGET.has(this.#name))) {
      this.#targets.push({ schema: this.#schema, table: this.#name })
      this.#isTarget = false
    }
    this.#name = ''
    this.#schema = undefined
  }
}

function isAnalyze(word: string): boolean {
  return word === 'analyze' || word === 'analyse'
}

const SOME_WRITE: StatementText = {
  kind: 'write',
  calls: [],
  watched: [],
  targets: undefined,
  isChange: false,
  isRowless: false,
}
const SESSION_STATEMENT: StatementText = { ...SOME_WRITE, kind: 'session' }

// Without its targets; that it is alone is all that has been made sure of.
function changeOf(verb: string): StatementText {
  return { ...SOME_WRITE, isChange: true, isRowless: ROWLESS.has(verb) }
}

const READS = new Set(['select', 'values', 'table', 'with', 'show'])
const CHANGES = new Set(['insert', 'update', 'delete', 'merge'])
const ROWLESS = new Set(['update', 'delete', 'merge'])
const ALIAS_FOLLOWS = new Set(['as', 'ordinality'])
// What may stand between the verb and the table.
const NOT_A_TARGET = new Set(['into', 'from', 'update', 'only'])
const STATEMENTS = new Set(['select', 'values', 'table', 'with', 'insert', 'update', 'delete', 'merge'])
const SESSION = new Set([
  ...[
    'set',
    'reset',
    'discard',
    'listen',
    'unlisten',
    'notify',
    'lock',
    'prepare',
    'execute',
    'deallocate',
    'load',
  ],
  ...[
    'declare',
    'fetch',
    'move',
    'close',
    'begin',
    'start',
    'commit',
    'end',
    'rollback',
    'abort',
    'savepoint',
  ],
  ...['release', 'checkpoint'],
])
