import {
  BACKSLASH,
  CARRIAGE_RETURN,
  DOLLAR,
  DOT,
  DOUBLE_QUOTE,
  isDigit,
  isOperator,
  isSpace,
  isWordPart,
  isWordStart,
  LINE_FEED,
  MINUS,
  QUOTE,
  SLASH,
  STAR,
} from './characters.ts'

/** Where the pieces of a text end: each function takes where one begins, and gives the first place behind it. */

/** What they give where a piece is not closed, or is none. */
export const NOWHERE = -1

/** White space and comments; block comments nest. */
export function endOfSpace(sql: string, begin: number): number {
  let at = begin
  for (;;) {
    const code = sql.charCodeAt(at)
    if (isSpace(code)) at++
    else if (code === MINUS && sql.charCodeAt(at + 1) === MINUS) at = endOfLine(sql, at)
    else if (code === SLASH && sql.charCodeAt(at + 1) === STAR) {
      at = endOfBlockComment(sql, at)
      if (at === NOWHERE) return NOWHERE
    } else return at
  }
}

function endOfLine(sql: string, begin: number): number {
  let at = begin
  for (; at < sql.length; at++) {
    const code = sql.charCodeAt(at)
    if (code === LINE_FEED || code === CARRIAGE_RETURN) break
  }
  return at
}

function endOfBlockComment(sql: string, begin: number): number {
  let at = begin
  let depth = 0
  do {
    if (at >= sql.length) return NOWHERE
    const code = sql.charCodeAt(at)
    const following = sql.charCodeAt(at + 1)
    const opens = code === SLASH && following === STAR
    const closes = code === STAR && following === SLASH
    if (opens) depth++
    if (closes) depth--
    at += opens || closes ? 2 : 1
  } while (depth > 0)
  return at
}

/** A string from its quote on; strings that only a line break parts are one, but two will do here. */
export function endOfString(sql: string, quote: number, hasEscapes: boolean): number {
  for (let at = quote + 1; at < sql.length; at++) {
    const code = sql.charCodeAt(at)
    if (code === BACKSLASH) {
      if (hasEscapes) at++
    } else if (code === QUOTE) {
      if (sql.charCodeAt(at + 1) !== QUOTE) return hasEscapes ? endUnlessContinued(sql, at + 1) : at + 1
      at++
    }
  }
  return NOWHERE
}

// An escape string goes on, with its escapes, in a string on a later line: too odd to be followed.
function endUnlessContinued(sql: string, end: number): number {
  const next = endOfSpace(sql, end)
  return next === NOWHERE || sql.charCodeAt(next) === QUOTE ? NOWHERE : end
}

/** A quoted identifier from its quote on. */
export function endOfQuoted(sql: string, quote: number): number {
  // A loop, because `indexOf()` costs more than it saves over so few characters.
  for (let at = quote + 1; at < sql.length; at++) {
    if (sql.charCodeAt(at) !== DOUBLE_QUOTE) continue
    if (sql.charCodeAt(at + 1) !== DOUBLE_QUOTE) return at + 1
    at++
  }
  return NOWHERE
}

/** A number. What follows one without a space is refused by newer servers, and another token to older ones. */
export function endOfNumber(sql: string, begin: number): number {
  let at = begin
  while (isDigit(sql.charCodeAt(at))) at++
  const code = sql.charCodeAt(at)
  if (!isWordPart(code) && code !== DOT) return at
  NUMBER.lastIndex = begin
  NUMBER.test(sql)
  return isWordStart(sql.charCodeAt(NUMBER.lastIndex)) ? NOWHERE : NUMBER.lastIndex
}

// Underscores and other bases came with PostgreSQL 16; to older servers the rest is an alias, which is as harmless.
const NUMBER =
  /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y

/** A parameter, from its dollar sign on. */
export function endOfParameter(sql: string, begin: number): number {
  let at = begin + 1
  while (isDigit(sql.charCodeAt(at))) at++
  return isWordStart(sql.charCodeAt(at)) ? NOWHERE : at
}

/** A string between dollar signs. */
export function endOfDollarString(sql: string, begin: number): number {
  let at = begin + 1
  // A tag is an identifier without a dollar sign.
  if (isWordStart(sql.charCodeAt(at))) {
    while (isWordPart(sql.charCodeAt(at)) && sql.charCodeAt(at) !== DOLLAR) at++
  }
  if (sql.charCodeAt(at) !== DOLLAR) return NOWHERE
  const tag = sql.slice(begin, at + 1)
  const end = sql.indexOf(tag, at + 1)
  return end === -1 ? NOWHERE : end + tag.length
}

/** An operator, which ends where a comment begins. */
export function endOfOperator(sql: string, begin: number): number {
  let at = begin + 1
  while (isOperator(sql.charCodeAt(at)) && !beginsComment(sql, at)) at++
  return at
}

function beginsComment(sql: string, at: number): boolean {
  const code = sql.charCodeAt(at)
  const following = sql.charCodeAt(at + 1)
  return (code === MINUS && following === MINUS) || (code === SLASH && following === STAR)
}
