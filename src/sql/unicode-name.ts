import { DOUBLE_QUOTE, QUOTE } from './characters.ts'
import { endOfSpace, NOWHERE } from './scan.ts'

/** A quoted identifier with Unicode escapes, and where it ends, with the `uescape` that belongs to it. */
export interface UnicodeName {
  readonly name: string
  readonly end: number
}

/**
 * Reads `U&"…"` from its quote on, with the `uescape '…'` that may follow it. Undefined if the server would refuse
 * it, or if it is written too oddly
 * (https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS).
 */
export function readUnicodeName(codes: Uint16Array, quote: number, sql: string): UnicodeName | undefined {
  const closing = endOfQuoted(codes, quote)
  if (closing === NOWHERE || closing === quote + 1) return undefined
  const written = sql.slice(quote + 1, closing).replaceAll('""', '"')
  const next = endOfSpace(codes, closing + 1)
  if (next === NOWHERE) return undefined
  if (!UESCAPE.test(sql.slice(next, next + WORD_LENGTH + 1))) return nameOf(written, '\\', closing + 1)
  const at = endOfSpace(codes, next + WORD_LENGTH)
  if (at === NOWHERE || codes[at] !== QUOTE || codes[at + 2] !== QUOTE) return undefined
  const sign = sql.charAt(at + 1)
  // A backslash may escape the quote after it, and two quotes are one.
  return NO_ESCAPE.test(sign) || codes[at + 3] === QUOTE ? undefined : nameOf(written, sign, at + 3)
}

function endOfQuoted(codes: Uint16Array, quote: number): number {
  for (let at = quote + 1; codes[at] !== 0; at++) {
    if (codes[at] !== DOUBLE_QUOTE) continue
    if (codes[at + 1] !== DOUBLE_QUOTE) return at
    at++
  }
  return NOWHERE
}

function nameOf(written: string, sign: string, end: number): UnicodeName | undefined {
  let name = ''
  let from = 0
  for (let at = written.indexOf(sign); at !== -1; at = written.indexOf(sign, from)) {
    name += written.slice(from, at)
    if (written.charAt(at + 1) === sign) {
      name += sign
      from = at + 2
      continue
    }
    const digits = ESCAPED.exec(written.slice(at + 1, at + 8))?.[0]
    const code = digits === undefined ? 0 : Number.parseInt(digits.replace('+', ''), 16)
    if (code === 0 || code > 0x10ffff) return undefined
    name += String.fromCodePoint(code)
    from = at + 1 + (digits as string).length
  }
  name += written.slice(from)
  // Half of a surrogate pair is no character.
  return /\p{Surrogate}/u.test(name) ? undefined : { name, end }
}

const WORD_LENGTH = 'uescape'.length
const UESCAPE = /^uescape(?![\w$\u0080-\uffff])/i
const NO_ESCAPE = /[\da-f+'"\s\\]/i
const ESCAPED = /^(?:[\da-f]{4}|\+[\da-f]{6})/i
