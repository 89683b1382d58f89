import { INFIX_WORDS, KEY_WORDS, NEVER_CALLED, PREFIX_WORDS } from './key-words.ts'
import { TOKEN } from './lexer.ts'

/** A name of one part or several, as it is read, and what stands before it. */
export class NameChain {
  /** The part before the last; undefined where there is none. */
  schema: string | undefined
  /** The last part; empty between names. */
  name = ''
  /** Whether it is a key word without quotes and alone. */
  isKeyWord = false
  isQuoted = false
  #beforeKind: number = TOKEN.end
  #beforeText = ''

  begin(kind: number, text: string, beforeKind: number, beforeText: string): void {
    this.schema = undefined
    this.name = text
    this.isQuoted = kind === TOKEN.quoted
    this.isKeyWord = kind === TOKEN.word && KEY_WORDS.has(text)
    this.#beforeKind = beforeKind
    this.#beforeText = beforeText
  }

  /** Reads what stands behind a dot. */
  extend(kind: number, text: string): void {
    this.schema = this.name
    this.name = text
    this.isQuoted = kind === TOKEN.quoted
    this.isKeyWord = false
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
    return !(this.isKeyWord && NEVER_CALLED.has(this.name)) && !this.#isAliasOrType()
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
    return this.#beforeText === 'as' || this.#beforeText === 'ordinality' || !KEY_WORDS.has(this.#beforeText)
  }
}
