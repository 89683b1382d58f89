import { CommonTables } from './common-tables.ts'
import { FLAG, flagsOf, WRITE_WORDS } from './key-words.ts'
import { type Lexer, TOKEN } from './lexer.ts'
import { Parentheses } from './parentheses.ts'
import { operatorsIn } from './scan.ts'
import { NameChain, SyntaxEffects } from './statement-syntax.ts'
import type { FunctionCall } from './statement-text.ts'
import type { TableName, WatchedNames } from './table-names.ts'

/**
 * Reads the tokens of one statement, one by one. Collects the calls of the statement, and the relations and types
 * that it names.
 */
export class TokenReader {
  readonly calls: FunctionCall[] = []
  readonly watched: TableName[] = []
  readonly relations: TableName[] = []
  readonly parentheses = new Parentheses()
  readonly effects = new SyntaxEffects()
  readonly #watch: WatchedNames
  readonly #chain = new NameChain()
  /** Undefined before the first `with`. Most texts have none. */
  #commonTables: CommonTables | undefined
  /** The token before the current one. A quoted identifier has no text here, so that it never counts as a word. */
  #lastKind: number = TOKEN.end
  #lastText = ''
  /** Whether the name of a relation may come next. */
  #awaitsRelation = false
  /** Whether something other than a call was read that may run an operator or a cast. */
  #operates = false
  #isDistinctFrom = false

  constructor(watch: WatchedNames) {
    this.#watch = watch
  }

  /** Whether the statement may run an operator or a cast. */
  get operates(): boolean {
    return this.#operates || this.calls.length > 0
  }

  /** Reads the current token of the lexer, and goes on to the next. */
  step(lexer: Lexer): void {
    this.#lastKind = this.#readToken(lexer)
    this.#lastText = lexer.kind === TOKEN.quoted ? '' : lexer.text
    lexer.next()
  }

  /** Goes on to the next token without reading the current one. */
  skip(lexer: Lexer): void {
    this.#lastKind = lexer.kind
    this.#lastText = lexer.kind === TOKEN.quoted ? '' : lexer.text
    lexer.next()
  }

  skipParenthesis(lexer: Lexer): void {
    this.parentheses.open()
    this.skip(lexer)
  }

  /** The next token begins a statement. */
  startStatement(): void {
    this.#lastKind = TOKEN.end
    this.parentheses.isInFromList = false
    this.parentheses.isBehindSelect = false
    this.#commonTables?.clear()
  }

  /** The next token may be the name of a relation. */
  expectRelation(): void {
    this.#awaitsRelation = true
  }

  /** Whether this token begins another statement: a semicolon came before it, and it is no semicolon itself. */
  beginsAnother(lexer: Lexer): boolean {
    if (this.#lastText !== ';' || this.#lastKind !== TOKEN.punctuation) return false
    return !lexer.isAt(';')
  }

  /** Reads the current token. Gives the kind that the next token shall take it for. */
  #readToken({ kind, text }: Lexer): number {
    const isRelation = this.#awaitsRelation
    if (isRelation) this.#awaitsRelation = false
    if (this.effects.isAtTarget) this.#checkUpdate(kind, text)
    if (kind === TOKEN.word || kind === TOKEN.quoted) this.#readNamePart(kind, text, isRelation)
    else if (kind === TOKEN.operator) this.#readOperator(text)
    else if (kind !== TOKEN.punctuation) this.#readLiteral(kind)
    else if (text === '(') {
      this.#readParenthesis()
      this.parentheses.open()
      this.#awaitsRelation = isRelation
    } else if (text === ')') {
      this.endName()
      // After `distinct on (…)` and `operator(…)` comes an expression, and no alias.
      const isPrefix = this.parentheses.close()
      this.#commonTables?.close(this.parentheses.depth)
      return isPrefix ? TOKEN.operator : kind
    } else if (text !== '.') {
      this.endName()
      if (text === ',') this.#awaitsRelation = this.parentheses.isInFromList
      else if (text === '::' || text === '[') this.#operates = true
    }
    return kind
  }

  /**
   * After the verb `update` comes a name or `only`. If anything else comes, `update` was a name itself. For a
   * parenthesis, this is done in `#readParenthesis()`.
   */
  #checkUpdate(kind: number, text: string): void {
    if (this.#lastKind !== TOKEN.word || this.#lastText !== 'update' || text === '(') return
    const isName = kind === TOKEN.quoted || (kind === TOKEN.word && (flagsOf(text) & FLAG.reserved) === 0)
    if (isName || (kind === TOKEN.word && text === 'only')) return
    this.endName()
    this.effects.takeBack()
  }

  #readNamePart(kind: number, text: string, isRelation: boolean): void {
    const chain = this.#chain
    if (chain.name !== '' && this.#isLast('.')) {
      if (chain.isAttribute) this.#call()
      chain.extend(kind, text)
      return
    }
    this.endName()
    chain.begin(kind, text, this.#lastKind, this.#lastText)
    const { flags } = chain
    chain.isRelation = isRelation && (flags & FLAG.reserved) === 0
    if (flags >= FLAG.handled) this.#readKeyWord(flags, text, isRelation)
    if (this.parentheses.isInWithHead && chain.isOfWith) {
      this.#commonTables?.name(this.parentheses.depth, text)
      if (chain.follows('recursive')) this.#commonTables?.recurses(this.parentheses.depth)
    }
  }

  /** Takes in what a key word means, by itself or by its place. */
  #readKeyWord(flags: number, word: string, isRelation: boolean): void {
    const { parentheses, effects } = this
    const chain = this.#chain
    if (chain.isAttribute) return
    const last = this.#lastKind === TOKEN.word ? this.#lastText : ''
    if ((flags & FLAG.mayOperate) !== 0) this.#operates = true
    if ((flags & FLAG.endsFrom) !== 0 && parentheses.isInFromList && !WITHIN_EXPRESSION.has(last))
      parentheses.isInFromList = false
    if ((flags & FLAG.handled) === 0) return
    const isOfWith = parentheses.isInWithHead && chain.isOfWith
    const isName = parentheses.isBehindSelect || parentheses.hasExpressionFrom || isRelation || isOfWith
    effects.readKeyWord(word, last, !isName)
    switch (word) {
      case 'with':
        if (this.#lastKind === TOKEN.end || this.#isLast('(')) {
          parentheses.isInWithHead = true
          this.#commonTables ??= new CommonTables()
          this.#commonTables.begin(parentheses.depth)
        }
        break
      case 'on':
        if (last === 'distinct') parentheses.expectPrefix()
        break
      case 'distinct':
        this.#isDistinctFrom = last === 'is' || last === 'not'
        break
      case 'from':
        this.#readFrom(last)
        break
      case 'join':
      case 'into':
        this.#awaitsRelation = true
        if (word === 'into' && last === 'merge') parentheses.expectUsing('merge')
        break
      case 'using':
        this.#awaitsRelation = parentheses.takeUsing()
        break
      case 'lateral':
      case 'only':
        this.#awaitsRelation = isRelation
        break
      case 'update':
        this.#awaitsRelation = effects.isBegunBy('update')
        if (!isOfWith) parentheses.isInWithHead = false
        break
      case 'table':
        this.#awaitsRelation = true
        parentheses.isInWithHead = false
        break
      case 'select':
        if (last !== 'as') parentheses.isBehindSelect = true
        parentheses.isInWithHead = false
        break
      case 'values':
      case 'insert':
      case 'merge':
      case 'delete':
        if (!isOfWith) parentheses.isInWithHead = false
        break
    }
  }

  #readFrom(last: string): void {
    const { parentheses } = this
    if (last === 'as' || parentheses.hasExpressionFrom) return
    if (last === 'distinct' && this.#isDistinctFrom) return
    // `rows from (…)` names no relation `rows`.
    if (last === 'rows' && this.relations.at(-1)?.table === 'rows') this.relations.pop()
    this.#awaitsRelation = true
    if (last === 'delete') parentheses.expectUsing('delete')
    else parentheses.isInFromList = true
  }

  #isLast(punctuation: string): boolean {
    return this.#lastKind === TOKEN.punctuation && this.#lastText === punctuation
  }

  /**
   * Reads an opening parenthesis. After a name it begins the arguments of a call, unless the name cannot be called
   * there.
   */
  #readParenthesis(): void {
    const chain = this.#chain
    const { parentheses, effects } = this
    if (parentheses.isInWithHead) {
      const isBody = this.#lastKind === TOKEN.word && WITH_BODY_FOLLOWS.has(this.#lastText)
      const isPartOfHead = isBody || chain.isOfWith
      if (isBody) this.#commonTables?.openBody(parentheses.depth)
      if (!isPartOfHead) parentheses.isInWithHead = false
      else chain.end()
    }
    if (chain.name === '') return
    if (chain.isKeyWord && effects.isBegunBy('update')) effects.takeBack()
    // A table that is written to may have its columns in parentheses: it stays a relation.
    if (!effects.isAtTarget) chain.isRelation = false
    if (chain.canBeCalled && !effects.isAtTarget) {
      this.calls.push({
        schema: chain.schema,
        name: chain.name,
        isKeyWord: chain.isSyntax || (effects.writes && chain.isKeyWord && WRITE_WORDS.has(chain.name)),
      })
    } else if (!chain.isKeyWord) parentheses.expectColumns()
    else if ((chain.flags & FLAG.plainBefore) === 0) this.#operates = true
    if (chain.isKeyWord) {
      if (chain.name === 'operator') parentheses.expectPrefix()
      parentheses.expectBehind(chain.name)
    }
    this.endName(chain.canBeCalled)
  }

  /**
   * Ends a name, if one is being read. Notes it if it is watched, names a relation, or is the table that is written
   * to. With `isBeforeType`, a string or a parenthesis follows, so it may be the name of a type.
   */
  endName(isBeforeType = false): void {
    const chain = this.#chain
    const { schema, name } = chain
    if (name === '') return
    if (chain.isAttribute) this.#call()
    if (this.#watch.has(chain.isQuoted ? name.toLowerCase() : name)) this.#see(isBeforeType)
    const { isAtTarget } = this.effects
    // The name may be that of a visible common table. A common table cannot be written to.
    const isRelation =
      chain.isRelation && (isAtTarget || schema !== undefined || this.#commonTables?.has(name) !== true)
    if (isRelation) this.relations.push({ schema, table: name })
    if (isAtTarget) this.effects.readTarget({ schema, table: name }, chain.isKeyWord)
    chain.end()
  }

  /** Notes a watched name. A reserved key word without quotes is no name. */
  #see(isBeforeType: boolean): void {
    const chain = this.#chain
    const isAsType = isBeforeType || chain.isBehindType(this.parentheses)
    if (chain.isReserved && !isAsType) return
    this.watched.push({ schema: chain.schema, table: chain.name, isAsType })
  }

  /** Notes an attribute of an expression: it may be a call, too. */
  #call(): void {
    this.calls.push({ schema: undefined, name: this.#chain.name, isKeyWord: false, isAttribute: true })
  }

  #readLiteral(kind: number): void {
    const { name, flags } = this.#chain
    const isBehindName = kind === TOKEN.string && name !== '' && (flags & FLAG.plainBefore) === 0
    if (isBehindName) this.#operates = true
    this.endName(isBehindName)
  }

  #readOperator(token: string): void {
    this.endName()
    if (token !== '*' || !this.#isStar()) this.#operates = true
    for (const operator of operatorsIn(token)) {
      if (this.#watch.has(operator)) this.watched.push({ table: operator })
    }
  }

  /**
   * Whether an asterisk means all columns here. It is no operator then: no operator `*` stands before its only
   * operand.
   */
  #isStar(): boolean {
    if (this.#lastKind === TOKEN.punctuation) return STAR_FOLLOWS.has(this.#lastText)
    return this.#lastKind === TOKEN.word && (this.#lastText === 'select' || this.#lastText === 'returning')
  }
}

const STAR_FOLLOWS = new Set(['.', ',', '('])
const WITH_BODY_FOLLOWS = new Set(['as', 'materialized'])
// `within group (…)` and `collation for (…)` are parts of an expression.
const WITHIN_EXPRESSION = new Set(['within', 'collation'])
