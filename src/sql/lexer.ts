import {
  AMPERSAND,
  BACKSLASH,
  CARRIAGE_RETURN,
  COLON,
  DOLLAR,
  DOT,
  DOUBLE_QUOTE,
  EQUALS,
  isDigit,
  isNumberPart,
  isOperator,
  isPunctuation,
  isSpace,
  isStringPrefix,
  isWordPart,
  isWordStart,
  LETTER_E,
  LETTER_U,
  LINE_FEED,
  MINUS,
  PLUS,
  QUOTE,
  SLASH,
  STAR,
} from './characters.ts'

/**
 * The lexer of PostgreSQL's SQL, as far as telling reads from writes needs it: it finds where each token begins and
 * ends, and of what kind it is. The rules are those of https://www.postgresql.org/docs/current/sql-syntax-lexical.html.
 */

/** The kinds of tokens. */
export const TOKEN = {
  end: 0,
  /** A key word or an identifier without quotes; its text is in lower case. */
  word: 1,
  /** A quoted identifier; its text is what stands between the quotes. */
  quoted: 2,
  /** A string of any kind, a bit string among them. */
  string: 3,
  number: 4,
  /** `$1`. */
  parameter: 5,
  /** One of `( ) [ ] , ; :` or a dot; its text is the character. */
  punctuation: 6,
  /** An operator of any length. */
  operator: 7,
  /** A text that cannot be read: something is not closed, or a character belongs to no token. */
  unreadable: 8,
} as const

/** Reads the tokens of one text, one at a time; white space and comments lie between them. */
export class Lexer {
  readonly #sql: string
  #at = 0
  /** The kind of the token that was read last, one of {@link TOKEN}. */
  kind: number = TOKEN.end
  /** Its text, for words, quoted identifiers and punctuation; empty for the others. */
  text = ''

  constructor(sql: string) {
    this.#sql = sql
  }

  /** Reads the next token into `kind` and `text`. */
  next(): void {
    this.text = ''
    if (!this.#skipBetweenTokens()) {
      this.kind = TOKEN.unreadable
      return
    }
    const code = this.#sql.charCodeAt(this.#at)
    if (Number.isNaN(code)) this.kind = TOKEN.end
    else if (isWordStart(code)) this.#readWord(code)
    else if (code === QUOTE) this.kind = this.#endOfString(this.#at, false)
    else if (code === DOUBLE_QUOTE) this.#readQuoted(this.#at)
    else if (isDigit(code) || (code === DOT && isDigit(this.#sql.charCodeAt(this.#at + 1))))
      this.#readNumber()
    else if (code === DOLLAR) this.#readDollar()
    else if (isPunctuation(code)) this.#readPunctuation(code)
    else if (isOperator(code)) this.#readOperator()
    else this.kind = TOKEN.unreadable
  }

  #readPunctuation(code: number): void {
    this.kind = TOKEN.punctuation
    // `::` and `:=` are no use to anybody here but as what they are: not a colon of a slice.
    const following = this.#sql.charCodeAt(this.#at + 1)
    const isDouble = code === COLON && (following === COLON || following === EQUALS)
    this.text = isDouble ? this.#sql.slice(this.#at, this.#at + 2) : this.#sql.charAt(this.#at)
    this.#at += this.text.length
  }

  /** White space and comments; block comments nest. False where one is not closed. */
  #skipBetweenTokens(): boolean {
    for (;;) {
      const code = this.#sql.charCodeAt(this.#at)
      if (isSpace(code)) this.#at++
      else if (code === MINUS && this.#sql.charCodeAt(this.#at + 1) === MINUS) this.#skipLine()
      else if (code === SLASH && this.#sql.charCodeAt(this.#at + 1) === STAR) {
        if (!this.#skipBlockComment()) return false
      } else return true
    }
  }

  #skipLine(): void {
    while (this.#at < this.#sql.length) {
      const code = this.#sql.charCodeAt(this.#at)
      if (code === LINE_FEED || code === CARRIAGE_RETURN) return
      this.#at++
    }
  }

  #skipBlockComment(): boolean {
    let depth = 0
    do {
      const code = this.#sql.charCodeAt(this.#at)
      const following = this.#sql.charCodeAt(this.#at + 1)
      if (Number.isNaN(code)) return false
      const opens = code === SLASH && following === STAR
      const closes = code === STAR && following === SLASH
      if (opens) depth++
      if (closes) depth--
      this.#at += opens || closes ? 2 : 1
    } while (depth > 0)
    return true
  }

  #readWord(first: number): void {
    const begin = this.#at
    // A letter and a quote: E'', B'', X'', N'' and U&'', U&"".
    const following = this.#sql.charCodeAt(begin + 1)
    const letter = first | 0x20
    if (following === QUOTE && isStringPrefix(first)) {
      this.kind = this.#endOfString(begin + 1, letter === LETTER_E)
      return
    }
    if (letter === LETTER_U && following === AMPERSAND) {
      const quote = this.#sql.charCodeAt(begin + 2)
      if (quote === QUOTE) {
        this.kind = this.#endOfString(begin + 2, false)
        return
      }
      if (quote === DOUBLE_QUOTE) {
        this.#readQuoted(begin + 2)
        // Its escapes are not read: a name with one is nobody's that is known.
        if (this.text.includes('\\')) this.kind = TOKEN.unreadable
        return
      }
    }
    let isLower = true
    let end = begin
    for (let code = first; isWordPart(code); code = this.#sql.charCodeAt(++end)) {
      if (code >= 0x41 && code <= 0x5a) isLower = false
    }
    this.#at = end
    this.kind = TOKEN.word
    const text = this.#sql.slice(begin, end)
    this.text = isLower ? text : lowerCaseAscii(text)
  }

  /** A string from its quote on; strings that only a line break parts are one, but two will do here. */
  #endOfString(quote: number, hasEscapes: boolean): number {
    const sql = this.#sql
    let at = quote + 1
    for (; at < sql.length; at++) {
      const code = sql.charCodeAt(at)
      if (code === BACKSLASH) {
        if (hasEscapes) at++
      } else if (code === QUOTE) {
        if (sql.charCodeAt(at + 1) !== QUOTE) {
          this.#at = at + 1
          return this.#isContinued(hasEscapes) ? TOKEN.unreadable : TOKEN.string
        }
        at++
      }
    }
    return TOKEN.unreadable
  }

  // An escape string goes on, with its escapes, in a string on a later line: too odd to be followed.
  #isContinued(hasEscapes: boolean): boolean {
    if (!hasEscapes) return false
    const before = this.#at
    const isClosed = this.#skipBetweenTokens()
    const goesOn = this.#sql.charCodeAt(this.#at) === QUOTE
    this.#at = before
    return goesOn || !isClosed
  }

  #readQuoted(quote: number): void {
    const sql = this.#sql
    const begin = quote + 1
    let hasQuotes = false
    let end = begin
    // A loop, because `indexOf()` costs more than it saves over so few characters.
    for (; end < sql.length; end++) {
      if (sql.charCodeAt(end) !== DOUBLE_QUOTE) continue
      if (sql.charCodeAt(end + 1) !== DOUBLE_QUOTE) break
      hasQuotes = true
      end++
    }
    this.#at = end + 1
    const isClosed = end < sql.length && end > begin
    this.kind = isClosed ? TOKEN.quoted : TOKEN.unreadable
    const text = sql.slice(begin, end)
    this.text = hasQuotes ? text.replaceAll('""', '"') : text
  }

  #readNumber(): void {
    this.kind = TOKEN.number
    let code = this.#sql.charCodeAt(this.#at)
    let previous = 0
    // Also what follows a number without a space: such a text is refused by newer servers, and split by older ones.
    while (
      isWordPart(code) ||
      code === DOT ||
      ((code === PLUS || code === MINUS) && (previous | 0x20) === LETTER_E)
    ) {
      if (code === DOT && previous === DOT) break
      if (!isNumberPart(code) && code !== PLUS && code !== MINUS) this.kind = TOKEN.unreadable
      previous = code
      code = this.#sql.charCodeAt(++this.#at)
    }
  }

  #readDollar(): void {
    const sql = this.#sql
    if (isDigit(sql.charCodeAt(this.#at + 1))) {
      do this.#at++
      while (isDigit(sql.charCodeAt(this.#at)))
      this.kind = isWordStart(sql.charCodeAt(this.#at)) ? TOKEN.unreadable : TOKEN.parameter
      return
    }
    DOLLAR_TAG.lastIndex = this.#at
    const tag = DOLLAR_TAG.exec(sql)?.[0]
    const end = tag === undefined ? -1 : sql.indexOf(tag, this.#at + tag.length)
    if (tag === undefined || end === -1) {
      this.kind = TOKEN.unreadable
      return
    }
    this.#at = end + tag.length
    this.kind = TOKEN.string
  }

  // An operator ends where a comment begins.
  #readOperator(): void {
    const sql = this.#sql
    const begin = this.#at
    let at = begin
    while (isOperator(sql.charCodeAt(at)) && !(at > begin && beginsComment(sql, at))) at++
    this.#at = at
    this.kind = TOKEN.operator
    this.text = sql.slice(begin, at)
  }
}

function beginsComment(sql: string, at: number): boolean {
  const code = sql.charCodeAt(at)
  const following = sql.charCodeAt(at + 1)
  return (code === MINUS && following === MINUS) || (code === SLASH && following === STAR)
}

// A tag is an identifier without a dollar sign.
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y

// Only ASCII: what a server does to other letters depends on its encoding.
function lowerCaseAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase())
}
