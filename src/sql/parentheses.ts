/** Facts on the parenthesis around a token, as bits. */
const IN = {
  /** The head of a `with`: between the word and its statement. */
  withHead: 1,
  /** After this parenthesis comes an expression, and no alias. */
  prefix: 2,
  /** In it, a `from` is a part of an expression: `extract(day from x)`. */
  expressionFrom: 4,
  /** In it, a type follows an `as` or a `returning`: `cast(x as int)`. */
  typeBehindWord: 8,
  /** The columns of an alias, which may have types: `as x (a int)`. */
  columns: 16,
  /** The list of a `from`: another relation follows a comma. */
  fromList: 32,
  /** A change of a table whose `using` names relations: one (`merge`), or a list (`delete`). */
  usingOne: 64,
  usingList: 128,
  /** After a `select`: a change of a table can only follow in parentheses of its own. */
  select: 256,
} as const

/**
 * Follows where the current token stands among the parentheses of a text:
 *
 * - how deep,
 * - in the head of a `with`, where names have columns and bodies, but nothing is called,
 * - in the list of a `from`,
 * - after a parenthesis that an expression may follow.
 */
export class Parentheses {
  depth = 0
  #isBroken = false
  readonly #flags: number[] = [0]
  #nextFlags = 0

  /** Whether every parenthesis that opens is closed, and every one that closes was open. */
  get areBalanced(): boolean {
    return this.depth === 0 && !this.#isBroken
  }

  get isInWithHead(): boolean {
    return this.#has(IN.withHead)
  }

  set isInWithHead(isInWithHead: boolean) {
    this.#set(IN.withHead, isInWithHead)
  }

  get isInFromList(): boolean {
    return this.#has(IN.fromList)
  }

  set isInFromList(isInFromList: boolean) {
    this.#set(IN.fromList, isInFromList)
  }

  get isBehindSelect(): boolean {
    return this.#has(IN.select)
  }

  set isBehindSelect(isBehindSelect: boolean) {
    this.#set(IN.select, isBehindSelect)
  }

  get hasExpressionFrom(): boolean {
    return this.#has(IN.expressionFrom)
  }

  get hasTypeBehindWord(): boolean {
    return this.#has(IN.typeBehindWord)
  }

  get isOfColumns(): boolean {
    return this.#has(IN.columns)
  }

  /** The next `using` is that of a `delete` or a `merge`. */
  expectUsing(verb: 'delete' | 'merge'): void {
    this.#set(verb === 'delete' ? IN.usingList : IN.usingOne, true)
  }

  /** Whether relations follow a `using`. A later `using` is that of a join. */
  takeUsing(): boolean {
    const isList = this.#has(IN.usingList)
    const isTaken = isList || this.#has(IN.usingOne)
    this.#set(IN.usingList | IN.usingOne, false)
    if (isList) this.isInFromList = true
    return isTaken
  }

  /** The next parenthesis is that of `distinct on (…)` or `operator(…)`: an expression begins after it. */
  expectPrefix(): void {
    this.#nextFlags |= IN.prefix
  }

  /** The next parenthesis follows this key word. */
  expectBehind(word: string): void {
    if (EXPRESSION_FROM.has(word)) this.#nextFlags |= IN.expressionFrom
    else if (TYPE_BEHIND_WORD.has(word)) this.#nextFlags |= IN.typeBehindWord
    if (COLUMNS.has(word)) this.#nextFlags |= IN.columns
  }

  /** The next parenthesis holds the columns of an alias. */
  expectColumns(): void {
    this.#nextFlags |= IN.columns
  }

  open(): void {
    this.depth++
    this.#flags[this.depth] = this.#nextFlags
    this.#nextFlags = 0
  }

  /** Closes a parenthesis. Gives whether an expression may follow it. */
  close(): boolean {
    if (this.depth === 0) {
      this.#isBroken = true
      return false
    }
    const isPrefix = this.#has(IN.prefix)
    this.depth--
    return isPrefix
  }

  #has(bits: number): boolean {
    return ((this.#flags[this.depth] as number) & bits) !== 0
  }

  #set(bits: number, isSet: boolean): void {
    const flags = this.#flags[this.depth] as number
    this.#flags[this.depth] = isSet ? flags | bits : flags & ~bits
  }
}

const EXPRESSION_FROM: ReadonlySet<string> = new Set(['extract', 'overlay', 'substring', 'trim'])
// The functions of JSON have the type after `returning`.
const TYPE_BEHIND_WORD: ReadonlySet<string> = new Set([
  'cast',
  'json',
  'json_array',
  'json_arrayagg',
  'json_object',
  'json_objectagg',
  'json_query',
  'json_scalar',
  'json_serialize',
  'json_value',
  'treat',
  'xmlserialize',
])
// `json_table` and `xmltable` have columns among their arguments.
const COLUMNS: ReadonlySet<string> = new Set(['as', 'columns', 'json_table', 'xmltable'])
