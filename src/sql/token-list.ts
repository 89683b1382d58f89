import { Lexer, TOKEN } from './lexer.ts'

/** One token of a text, as the lexer reads it. */
interface Token {
  readonly kind: number
  readonly text: string
  readonly begin: number
  readonly end: number
}

/** The tokens of a short text, all at once, for a grammar that must look ahead. */
export class TokenList {
  readonly sql: string
  readonly #tokens: readonly Token[]
  #at = 0

  private constructor(sql: string, tokens: readonly Token[]) {
    this.sql = sql
    this.#tokens = tokens
  }

  /** Reads a text. Undefined if it cannot be read. */
  static of(sql: string): TokenList | undefined {
    const lexer = new Lexer(sql)
    const tokens: Token[] = []
    for (lexer.next(); lexer.kind !== TOKEN.end; lexer.next()) {
      if (lexer.kind === TOKEN.unreadable) return undefined
      const { kind, text, begin, end } = lexer
      tokens.push({ kind, text, begin, end })
    }
    return new TokenList(sql, tokens)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length
  }

  get isAtStatementEnd(): boolean {
    return this.isAtEnd || this.isAt(';')
  }

  /** Whether the current token is the last one of its statement. */
  get isLastOfStatement(): boolean {
    const next = this.#tokens[this.#at + 1]
    return next === undefined || (next.kind === TOKEN.punctuation && next.text === ';')
  }

  get current(): Token | undefined {
    return this.#tokens[this.#at]
  }

  isAt(sign: string): boolean {
    const token = this.current
    if (token === undefined || token.text !== sign) return false
    return token.kind === TOKEN.punctuation || token.kind === TOKEN.operator
  }

  isAtWord(word: string, ahead = 0): boolean {
    const token = this.#tokens[this.#at + ahead]
    return token?.kind === TOKEN.word && token.text === word
  }

  skip(): void {
    this.#at++
  }

  /** Skips these words or signs if they come next. Gives whether they do. */
  take(...words: readonly string[]): boolean {
    const areNext = words.every((word, ahead) => {
      const token = this.#tokens[this.#at + ahead]
      return token !== undefined && token.kind !== TOKEN.quoted && token.text === word
    })
    if (areNext) this.#at += words.length
    return areNext
  }

  /** Reads a name of one or several parts, with its ASCII letters in lower case. Undefined if there is none. */
  takeName(): string | undefined {
    const parts: string[] = []
    do {
      const token = this.current
      if (token === undefined || (token.kind !== TOKEN.word && token.kind !== TOKEN.quoted)) return undefined
      parts.push(token.text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()))
      this.skip()
    } while (this.take('.'))
    return parts.join('.')
  }
}
