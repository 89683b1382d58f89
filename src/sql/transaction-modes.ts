import { Lexer, TOKEN } from './lexer.ts'

/** A transaction that begins, by the modes that it begins with. PostgreSQL refuses a serializable one on a hot standby, whatever it does. */
export type Opens = 'read-write' | 'read-only' | 'read-only-serializable'

/**
 * What kind of a transaction a text begins that is a single `begin` or `start transaction`; undefined where it is another, as
 * `rollback and chain`. Of two modes of a kind the last one holds (https://www.postgresql.org/docs/current/sql-begin.html).
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
