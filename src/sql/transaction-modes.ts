import { Lexer, TOKEN } from './lexer.ts'

/** A transaction, by the modes that it begins with. A hot standby refuses a serializable one, whatever it does. */
export type Opens = 'read-write' | 'read-only' | 'read-only-serializable'

/**
 * The kind of transaction that a single `begin` or `start transaction` begins. Undefined for any other text, such as
 * `rollback and chain`. If two modes of one kind are given, the last one holds
 * (https://www.postgresql.org/docs/current/sql-begin.html).
 */
export function opensOf(sql: string): Opens | undefined {
  const lexer = new Lexer(sql)
  lexer.next()
  if (!lexer.isAtWord('begin') && !lexer.isAtWord('start')) return undefined
  let isReadOnly = false
  let isSerializable = false
  let last = ''
  for (lexer.next(); lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable; lexer.next()) {
    if (last === 'read' && lexer.isAtWord('only')) isReadOnly = true
    else if (last === 'read' && lexer.isAtWord('write')) isReadOnly = false
    else if (last === 'level') isSerializable = lexer.isAtWord('serializable')
    last = lexer.text
  }
  if (!isReadOnly) return 'read-write'
  return isSerializable ? 'read-only-serializable' : 'read-only'
}
