import { Lexer, TOKEN } from './lexer.ts'

/**
 * Whether a text may set something for its session which outlives its transaction: as one of several statements, in the body of a `do`, or
 * by a call of `set_config()` within something larger. Doubt means that it does.
 */
export function mayKeepSettings(sql: string): boolean {
  if (EXECUTES.test(sql)) return true
  if (!MAY_SET.test(sql)) return false
  if (CALL.test(sql) && CALL.test(sql.replaceAll(LOCAL_CALL, ' '))) return true
  const lexer = new Lexer(sql)
  let isFirst = true
  for (lexer.next(); lexer.kind !== TOKEN.end; lexer.next()) {
    if (lexer.kind === TOKEN.unreadable) return true
    if (lexer.kind === TOKEN.string && IN_BODY.test(sql.slice(lexer.begin, lexer.end))) return true
    if (isFirst && lexer.kind === TOKEN.word && SETTERS.has(lexer.text)) {
      lexer.next()
      if (lexer.kind !== TOKEN.word || !OF_TRANSACTION.has(lexer.text)) return true
    }
    isFirst = lexer.isAt(';')
  }
  return false
}

// What was prepared by this name may set anything.
const EXECUTES = /^\s*execute\b/i
const MAY_SET = /\b(?:set|reset|discard|set_config)\b/i
const CALL = /\bset_config\b/i
const LOCAL_CALL = /\bset_config\s*\((?:[^();']|'[^']*')*,\s*(?:true|'t(?:rue)?')\s*\)/gi
const SETTERS: ReadonlySet<string> = new Set(['set', 'reset', 'discard'])
const OF_TRANSACTION: ReadonlySet<string> = new Set(['local', 'transaction', 'constraints'])
// Where a statement begins in a text that is quoted.
const IN_BODY =
  /(?:[;$']|\b(?:begin|then|else|loop)\b)\s*(?:set|reset|discard)\b(?!\s+(?:local|transaction|constraints)\b)/i
