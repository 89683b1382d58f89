import {
  AMPERSAND,
  BACKSLASH,
  COLON,
  codesOf,
  DOLLAR,
  DOT,
  DOUBLE_QUOTE,
  EQUALS,
  isDigit,
  isOperator,
  isPunctuation,
  isStringPrefix,
  isWordPart,
  isWordStart,
  LETTER_E,
  LETTER_N,
  LETTER_U,
  QUOTE,
} from './characters.ts'
import {
  endOfDollarString,
  endOfEscapes,
  endOfNumber,
  endOfOperator,
  endOfParameter,
  endOfSpace,
  endOfString,
  NOWHERE,
} from './scan.ts'
import { readUnicodeName } from './unicode-name.ts'

/**
 * A lexer for PostgreSQL's SQL that does only what is needed to tell reads from writes. It finds where each token
 * begins and ends, and of which kind it is. The rules are those of
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html.
 */

/** The kinds of tokens. */
export const TOKEN = {
  end: 0,
  /** A key word, or an identifier without quotes. Its text is in lower case. */
  word: 1,
  /**
   * A quoted identifier. Its text is what is between the quotes, with Unicode escapes replaced by their characters.
   */
  quoted: 2,
  /** A string of any kind, also a bit string. */
  string: 3,
  number: 4,
  /** `$1`. */
  parameter: 5,
  /** One of `( ) [ ] , ; :`, a dot, `::` or `:=`. Its text is just that. */
  punctuation: 6,
  /** An operator of any length. */
  operator: 7,
  /** A text that cannot be read: something is not closed, or a character belongs to no token. */
  unreadable: 8,
} as const

/** Reads the tokens of one text, one at a time. It skips white space and comments. */
export class Lexer {
  readonly #sql: string
  readonly #codes: Uint16Array
  readonly #hasEscapes: boolean
  #at = 0
  /** Where the current token begins. */
  begin = 0
  /** The kind of the current token, one of {@link TOKEN}. */
  kind: number = TOKEN.end
  /** Its text, for words, quoted identifiers, punctuation and operators; empty for the others. */
  text = ''

  /**
   * With `hasEscapes`, plain strings have backslash escapes, as they have if `standard_conforming_strings` is off.
   */
  constructor(sql: string, hasEscapes = false) {
    this.#sql = sql
    this.#hasEscapes = hasEscapes
    this.#codes = codesOf(sql)
  }

  /** Whether the current token is this word: a key word, or an identifier without quotes. */
  isAtWord(word: string): boolean {
    return this.kind === TOKEN.word && this.text === word
  }

  /** Where the current token ends. It must be readable. */
  get end(): number {
    return this.#at
  }

  /** Whether the current token is this punctuation. */
  isAt(punctuation: string): boolean {
    return this.kind === TOKEN.punctuation && this.text === punctuation
  }

  /** Reads the next token into `kind` and `text`. */
  next(): void {
    this.text = ''
    this.begin = this.#at
    const at = endOfSpace(this.#codes, this.#at)
    if (at === NOWHERE) {
      this.kind = TOKEN.unreadable
      return
    }
    this.#at = at
    this.begin = at
    const code = this.#codes[at] as number
    if (code !== 0) this.#readToken(code)
    else this.kind = TOKEN.end
  }

  #readToken(code: number): void {
    const codes = this.#codes
    const at = this.#at
    if (isWordStart(code)) this.#readWord(code)
    else if (code === DOUBLE_QUOTE) this.#readQuoted(at)
    else if (isPunctuation(code) && !(code === DOT && isDigit(codes[at + 1] as number)))
      this.#readPunctuation(code)
    else if (code === QUOTE) this.#moveTo(TOKEN.string, this.#endOfPlainString(at))
    else if (isDigit(code) || code === DOT) this.#moveTo(TOKEN.number, endOfNumber(codes, at, this.#sql))
    else if (code === DOLLAR && isDigit(codes[at + 1] as number))
      this.#moveTo(TOKEN.parameter, endOfParameter(codes, at))
    else if (code === DOLLAR) this.#moveTo(TOKEN.string, endOfDollarString(codes, at, this.#sql))
    else if (isOperator(code)) {
      this.#moveTo(TOKEN.operator, endOfOperator(codes, at))
      this.text = this.#at === at + 1 ? String.fromCharCode(code) : this.#sql.slice(at, this.#at)
    } else this.kind = TOKEN.unreadable
  }

  #endOfPlainString(quote: number): number {
    // If all strings have escapes, a part of a string on a later line has them too, so it can be read as a string by
    // itself.
    return this.#hasEscapes ? endOfEscapes(this.#codes, quote) : endOfString(this.#codes, quote, false)
  }

  #moveTo(kind: number, end: number): void {
    this.kind = end === NOWHERE ? TOKEN.unreadable : kind
    this.#at = end
  }

  #readPunctuation(code: number): void {
    this.kind = TOKEN.punctuation
    // `::` and `:=` are tokens of their own: neither has the colon of a slice.
    const following = this.#codes[this.#at + 1]
    const isDouble = code === COLON && (following === COLON || following === EQUALS)
    this.text = isDouble ? this.#sql.slice(this.#at, this.#at + 2) : String.fromCharCode(code)
    this.#at += this.text.length
  }

  #readWord(first: number): void {
    const codes = this.#codes
    const begin = this.#at
    // A letter before a quote: E'', B'', X'', N'' and U&'', U&"".
    const following = codes[begin + 1]
    const letter = first | 0x20
    if (following === QUOTE && isStringPrefix(first)) {
      if (letter === LETTER_N) this.#moveTo(TOKEN.string, this.#endOfPlainString(begin + 1))
      else this.#moveTo(TOKEN.string, endOfString(codes, begin + 1, letter === LETTER_E))
      return
    }
    if (letter === LETTER_U && following === AMPERSAND) {
      const quote = codes[begin + 2]
      if (quote === QUOTE) {
        this.#moveTo(TOKEN.string, endOfString(codes, begin + 2, false))
        return
      }
      if (quote === DOUBLE_QUOTE) {
        const read = readUnicodeName(codes, begin + 2, this.#sql)
        this.#moveTo(TOKEN.quoted, read?.end ?? NOWHERE)
        this.text = read === undefined ? '' : cutToFit(read.name)
        return
      }
    }
    let isLower = true
    let isAscii = true
    let end = begin
    for (let code = first; isWordPart(code); code = codes[++end] as number) {
      if (code >= 0x41 && code <= 0x5a) isLower = false
      else if (code >= 0x80) isAscii = false
    }
    this.#at = end
    this.kind = TOKEN.word
    const written = this.#sql.slice(begin, end)
    const name = isLower ? written : lowerCase(written, isAscii)
    this.text = isAscii ? cutToFitAscii(name) : cutToFit(name)
  }

  #readQuoted(quote: number): void {
    const codes = this.#codes
    let hasQuotes = false
    let end = quote + 1
    // A loop, because `indexOf()` costs more than it saves over so few characters.
    for (; codes[end] !== 0; end++) {
      if (codes[end] !== DOUBLE_QUOTE) continue
      if (codes[end + 1] !== DOUBLE_QUOTE) break
      hasQuotes = true
      end++
    }
    // PostgreSQL refuses a quoted identifier without a character.
    this.#moveTo(TOKEN.quoted, codes[end] === DOUBLE_QUOTE && end > quote + 1 ? end + 1 : NOWHERE)
    if (this.kind === TOKEN.unreadable) return
    const written = this.#sql.slice(quote + 1, end)
    this.text = cutToFit(hasQuotes ? written.replaceAll('""', '"') : written)
  }
}

/**
 * Whether a text has another meaning if `standard_conforming_strings` is off. Then the second quote of `'a\'` does
 * not close that string (https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE).
 * Such a server refuses a text whose last string stays open. So `like $1 escape '\'` has one meaning only.
 */
export function hasOtherReading(sql: string): boolean {
  if (!sql.includes("\\'") || !hasEscapedQuote(sql)) return false
  const lexer = new Lexer(sql, true)
  do lexer.next()
  while (lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable)
  if (lexer.kind === TOKEN.end) return true
  // This lexer cannot read a token that begins so, but some servers can.
  return ODD.has(sql.charAt(lexer.begin))
}

/** Whether a plain string (without `E`) has a quote after an odd number of backslashes. */
function hasEscapedQuote(sql: string): boolean {
  const lexer = new Lexer(sql)
  for (lexer.next(); lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable; lexer.next()) {
    if (lexer.kind !== TOKEN.string || !PLAIN.has(sql.charAt(lexer.begin))) continue
    for (let at = lexer.begin + 1, backslashes = 0; at < lexer.end; at++) {
      const character = sql.charCodeAt(at)
      if (character === QUOTE && backslashes % 2 === 1) return true
      backslashes = character === BACKSLASH ? backslashes + 1 : 0
    }
  }
  // An unreadable text is in doubt anyway.
  return false
}

const PLAIN = new Set(["'", 'n', 'N'])
// A number or a parameter with letters right after it, and a quoted name with odd escapes.
const ODD = new Set('0123456789.$uU')

/** Puts ASCII letters in lower case. What a server does to other letters depends on its encoding. */
function lowerCase(name: string, isAscii: boolean): string {
  return isAscii ? name.toLowerCase() : name.replace(/[A-Z]+/g, (upper) => upper.toLowerCase())
}

/** Cuts a name to the length that PostgreSQL keeps: names that differ only after that are one name. */
function cutToFit(name: string): string {
  if (name.length * MAX_BYTES_PER_UNIT <= MAX_NAME_BYTES) return name
  const bytes = Buffer.from(name)
  if (bytes.length <= MAX_NAME_BYTES) return name
  // Does not cut within a character: its second and further bytes begin with the bits 10.
  let end = MAX_NAME_BYTES
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** The same for a name of ASCII characters only. */
function cutToFitAscii(name: string): string {
  return name.length <= MAX_NAME_BYTES ? name : name.slice(0, MAX_NAME_BYTES)
}

const MAX_NAME_BYTES = 63
const MAX_BYTES_PER_UNIT = 3
