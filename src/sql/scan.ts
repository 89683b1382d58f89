import {
  BACKSLASH,
  CARRIAGE_RETURN,
  DOLLAR,
  DOT,
  isDigit,
  isOperator,
  isSpace,
  isWordPart,
  isWordStart,
  LINE_FEED,
  MINUS,
  PLUS,
  QUOTE,
  SLASH,
  STAR,
} from './characters.ts'

/**
 * Functions that find where a piece of a text ends. Each takes the codes of the text's characters, with zeros after
 * the end, and the place where the piece begins. It gives the first place after the piece.
 */

type Codes = Uint16Array

/** The code after the end of a text. A text that has this code in it is not read. */
const END = 0

/** The result if a piece is not closed, or is no such piece. */
export const NOWHERE = -1

/** White space and comments; block comments nest. */
export function endOfSpace(codes: Codes, begin: number): number {
  let at = begin
  for (;;) {
    const code = codes[at] as number
    if (isSpace(code)) at++
    else if (code === MINUS && codes[at + 1] === MINUS) at = endOfLine(codes, at)
    else if (code === SLASH && codes[at + 1] === STAR) {
      at = endOfBlockComment(codes, at)
      if (at === NOWHERE) return NOWHERE
    } else return at
  }
}

function endOfLine(codes: Codes, begin: number): number {
  let at = begin
  for (; ; at++) {
    const code = codes[at]
    if (code === LINE_FEED || code === CARRIAGE_RETURN || code === END) return at
  }
}

function endOfBlockComment(codes: Codes, begin: number): number {
  let at = begin
  let depth = 0
  do {
    const code = codes[at]
    if (code === END) return NOWHERE
    const following = codes[at + 1]
    const opens = code === SLASH && following === STAR
    const closes = code === STAR && following === SLASH
    if (opens) depth++
    if (closes) depth--
    at += opens || closes ? 2 : 1
  } while (depth > 0)
  return at
}

/**
 * A string, from its quote on. Strings that only a line break separates are one to PostgreSQL. Here they are several.
 */
export function endOfString(codes: Codes, quote: number, hasEscapes: boolean): number {
  if (hasEscapes) return endUnlessContinued(codes, endOfEscapes(codes, quote))
  for (let at = quote + 1; codes[at] !== END; at++) {
    if (codes[at] !== QUOTE) continue
    if (codes[at + 1] !== QUOTE) return at + 1
    at++
  }
  return NOWHERE
}

/** A string with backslash escapes, from its quote on, whatever follows it. */
export function endOfEscapes(codes: Codes, quote: number): number {
  for (let at = quote + 1; codes[at] !== END; at++) {
    const code = codes[at]
    if (code === BACKSLASH) {
      if (codes[at + 1] !== END) at++
    } else if (code === QUOTE) {
      if (codes[at + 1] !== QUOTE) return at + 1
      at++
    }
  }
  return NOWHERE
}

// An escape string may go on, with its escapes, in a string on a later line. Such a text is not read.
function endUnlessContinued(codes: Codes, end: number): number {
  if (end === NOWHERE) return NOWHERE
  const next = endOfSpace(codes, end)
  return next === NOWHERE || codes[next] === QUOTE ? NOWHERE : end
}

/** A number. Newer servers refuse letters right after it. For older servers they are another token. */
export function endOfNumber(codes: Codes, begin: number, sql: string): number {
  let at = begin
  while (isDigit(codes[at] as number)) at++
  const code = codes[at] as number
  if (!isWordPart(code) && code !== DOT) return at
  NUMBER.lastIndex = begin
  NUMBER.test(sql)
  return isWordStart(codes[NUMBER.lastIndex] as number) ? NOWHERE : NUMBER.lastIndex
}

// Underscores and other bases came with PostgreSQL 16. For older servers the rest is an alias, which is harmless,
// too.
const NUMBER =
  /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y

/** A parameter, from its dollar sign on. */
export function endOfParameter(codes: Codes, begin: number): number {
  let at = begin + 1
  while (isDigit(codes[at] as number)) at++
  return isWordStart(codes[at] as number) ? NOWHERE : at
}

/** A dollar-quoted string. */
export function endOfDollarString(codes: Codes, begin: number, sql: string): number {
  let at = begin + 1
  // A tag is an identifier without a dollar sign.
  if (isWordStart(codes[at] as number)) {
    while (isWordPart(codes[at] as number) && codes[at] !== DOLLAR) at++
  }
  if (codes[at] !== DOLLAR) return NOWHERE
  const tag = sql.slice(begin, at + 1)
  const end = sql.indexOf(tag, at + 1)
  return end === -1 ? NOWHERE : end + tag.length
}

/** An operator, which ends where a comment begins. */
export function endOfOperator(codes: Codes, begin: number): number {
  let at = begin + 1
  while (isOperator(codes[at] as number) && !beginsComment(codes, at)) at++
  return at
}

function beginsComment(codes: Codes, at: number): boolean {
  const code = codes[at]
  const following = codes[at + 1]
  return (code === MINUS && following === MINUS) || (code === SLASH && following === STAR)
}

/**
 * The operators that a token may begin with. An operator and a `+` or `-` right after it are one token here, and may
 * be two to PostgreSQL.
 */
export function operatorsIn(token: string): string[] {
  const operators = [token.slice(0, MAX_OPERATOR_LENGTH)]
  for (let end = Math.min(token.length, MAX_OPERATOR_LENGTH); end > 1; end--) {
    const last = token.charCodeAt(end - 1)
    if (last !== PLUS && last !== MINUS) break
    operators.push(token.slice(0, end - 1))
  }
  return operators
}

// PostgreSQL refuses longer ones.
const MAX_OPERATOR_LENGTH = 63
