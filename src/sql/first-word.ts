import { Lexer } from './lexer.ts'

/** Whether a statement only controls its transaction, as `begin`, `commit` and `savepoint` do. */
export function isControl(sql: string): boolean {
  return CONTROLS.has(firstWordOf(sql))
}

/**
 * Whether a statement about the session gives its transaction an id: it locks a table, or creates or drops temporary
 * ones.
 */
export function takesId(sql: string): boolean {
  return TAKING_IDS.has(firstWordOf(sql))
}

/** The first word of a text, after any comments. */
function firstWordOf(sql: string): string {
  const lexer = new Lexer(sql)
  lexer.next()
  return lexer.text
}

/** Whether a cursor is declared `with hold`: it outlives its transaction, and the commit reads it to its end. */
export function outlivesTransaction(sql: string): boolean {
  return HOLDS.test(sql)
}

const CONTROLS: ReadonlySet<string> = new Set(
  'begin start commit end abort rollback savepoint release'.split(' '),
)
const TAKING_IDS: ReadonlySet<string> = new Set(['create', 'discard', 'lock'])
const HOLDS = /\bhold\b/i
