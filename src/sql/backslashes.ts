import { BACKSLASH, QUOTE } from './characters.ts'
import { Lexer, TOKEN } from './lexer.ts'

/**
 * Whether a text reads as something else where `standard_conforming_strings` is off: there `'a\'` is not closed by its second quote
 * (https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE). What that server would refuse, because a
 * string is open at the end, has one meaning only: `like $1 escape '\'`.
 */
export function hasOtherReading(sql: string): boolean {
  if (!sql.includes("\\'") || !hasEscapedQuote(sql)) return false
  const lexer = new Lexer(sql, true)
  do lexer.next()
  while (lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable)
  if (lexer.kind === TOKEN.end) return true
  // These are unreadable to this lexer, and not to every server.
  return ODD.has(sql.charAt(lexer.begin))
}

/** Whether an odd number of backslashes stands before a quote in a string that has no escapes by itself. */
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
// A number or a parameter with letters behind it, and a quoted name with Unicode escapes.
const ODD = new Set('0123456789.$uU')
