import { Lexer, TOKEN } from './lexer.ts'

/**
 * Whether a text may set something for its session that outlives the transaction, in a way that this package does not
 * follow: in one of several statements, in the body of a `do`, or by a call of `set_config()` within a larger
 * statement. In doubt, true.
 */
export function maySetUnfollowed(sql: string): boolean {
  const executes = EXECUTES.test(sql)
  if (!executes && !MAY_SET.test(sql)) return false
  if (CALL.test(sql) && CALL.test(sql.replaceAll(LOCAL_CALL, ' '))) return true
  const lexer = new Lexer(sql)
  let isFirst = true
  for (lexer.next(); lexer.kind !== TOKEN.end; lexer.next()) {
    if (lexer.kind === TOKEN.unreadable) return true
    if (lexer.kind === TOKEN.string && setsInside(sql.slice(lexer.begin, lexer.end))) return true
    if (isFirst && lexer.kind === TOKEN.word) {
      // A prepared statement may set anything, and so may a text that a block builds.
      if (executes && EXECUTING.has(lexer.text)) return true
      if (SETTERS.has(lexer.text)) {
        lexer.next()
        if (lexer.kind !== TOKEN.word || !OF_TRANSACTION.has(lexer.text)) return true
      }
    }
    isFirst = lexer.isAt(';')
  }
  return false
}

const EXECUTES = /\bexecute\b/i
const MAY_SET = /\b(?:set|reset|discard|set_config)\b/i
const CALL = /\bset_config\b/i
// A call with a comment in it does not match: with the comment, it may be another call than it seems.
const LOCAL_CALL = /\bset_config\s*\((?:[^();'/-]|\/(?!\*)|-(?!-)|'[^']*')*,\s*(?:true|'t(?:rue)?')\s*\)/gi
const SETTERS: ReadonlySet<string> = new Set(['set', 'reset', 'discard'])
const EXECUTING: ReadonlySet<string> = new Set(['do', 'execute'])
const OF_TRANSACTION: ReadonlySet<string> = new Set(['local', 'transaction', 'constraints'])

/**
 * Whether a statement in a quoted text sets something. Searches the text with its comments and without them, because
 * a seeming comment may be a part of a string.
 */
function setsInside(text: string): boolean {
  if (IN_BODY.test(text)) return true
  if (!text.includes('--') && !text.includes('/*')) return false
  const plain = text.replaceAll(COMMENT, ' ')
  // Comments may nest. If they do, one end of a comment is left.
  return plain.includes('*/') || IN_BODY.test(plain)
}

// The beginning of a statement that sets something, in a quoted text.
const IN_BODY =
  /(?:[;$']|\b(?:begin|then|else|loop)\b)\s*(?:set|reset|discard)\b(?!\s+(?:local|transaction|constraints)\b)/i
const COMMENT = /--[^\n\r]*|\/\*[\s\S]*?(?:\*\/|$)/g
