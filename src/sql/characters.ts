import { endianness } from 'node:os'

/** The characters of PostgreSQL's lexer, and what each may begin or be a part of. */

export const LINE_FEED = 0x0a
export const CARRIAGE_RETURN = 0x0d
export const DOUBLE_QUOTE = 0x22
export const DOLLAR = 0x24
export const AMPERSAND = 0x26
export const QUOTE = 0x27
export const STAR = 0x2a
export const PLUS = 0x2b
export const MINUS = 0x2d
export const DOT = 0x2e
export const SLASH = 0x2f
export const COLON = 0x3a
export const EQUALS = 0x3d
export const BACKSLASH = 0x5c
export const LETTER_E = 0x65
export const LETTER_N = 0x6e
export const LETTER_U = 0x75

const SPACE = 1
const DIGIT = 2
const WORD_START = 4
const DOLLAR_SIGN = 128
const WORD_PART = WORD_START | DIGIT | DOLLAR_SIGN
const OPERATOR = 16
const PUNCTUATION = 32
const STRING_PREFIX = 64

// A table, so that every character takes one look-up: a new text is read character by character.
const CLASSES = new Uint8Array(0x10000).fill(WORD_START, 0x80)

mark(' \t\n\r\f\v', SPACE) // `\v` since PostgreSQL 16
mark('0123456789', DIGIT)
mark('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', WORD_START)
mark('+-*/<>=~!@#%^&|`?', OPERATOR)
mark('()[],;:.', PUNCTUATION)
mark('ebxnEBXN', STRING_PREFIX)
mark('$', DOLLAR_SIGN)

function mark(characters: string, bit: number): void {
  for (const each of characters) {
    const code = each.charCodeAt(0)
    CLASSES[code] = (CLASSES[code] ?? 0) | bit
  }
}

function is(code: number, bits: number): boolean {
  // After the end of a text the code is NaN. `| 0` makes it 0, which is in no class.
  return ((CLASSES[code | 0] as number) & bits) !== 0
}

export function isSpace(code: number): boolean {
  return is(code, SPACE)
}

export function isDigit(code: number): boolean {
  return is(code, DIGIT)
}

/** A letter, an underscore, or any character that is not ASCII. */
export function isWordStart(code: number): boolean {
  return is(code, WORD_START)
}

export function isWordPart(code: number): boolean {
  return is(code, WORD_PART)
}

export function isOperator(code: number): boolean {
  return is(code, OPERATOR)
}

export function isPunctuation(code: number): boolean {
  return is(code, PUNCTUATION)
}

/** Whether a quote right after this letter begins another kind of string, as in `E''`. */
export function isStringPrefix(code: number): boolean {
  return is(code, STRING_PREFIX)
}

/**
 * Gives the characters of a text as an array of codes, with zeros after the end. Reading the string itself, character
 * by character, takes up to half as long again. Short texts share one array, because a new one costs a tenth of the
 * reading. So read one text at a time.
 */
export function codesOf(sql: string): Uint16Array {
  const isShort = sql.length <= SHORT
  const codes = isShort ? shared : new Uint16Array(sql.length + ZEROS)
  const bytes = isShort ? sharedBytes : Buffer.from(codes.buffer)
  const length = bytes.write(sql, 0, 'utf16le')
  if (IS_BIG_ENDIAN) bytes.subarray(0, length).swap16()
  codes.fill(0, sql.length, sql.length + ZEROS)
  return codes
}

const SHORT = 8_192
/** How many codes after the end a reader may look at. */
const ZEROS = 4
const IS_BIG_ENDIAN = endianness() === 'BE'
const shared = new Uint16Array(SHORT + ZEROS)
const sharedBytes = Buffer.from(shared.buffer)
