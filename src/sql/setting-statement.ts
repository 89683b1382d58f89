import { mayKeepSettings } from './kept-settings.ts'
import { readSettingChanges } from './setting-changes.ts'
import { SESSION, type Statement } from './statement.ts'

/** Adds to a statement what its text sets in its session. */
export function withSettings(statement: Statement, sql: string): Statement {
  // Statements of the other kinds read or lock, and call nothing that sets.
  if (!MAY_SET.has(statement.kind) || statement.isControl) return statement
  const sets = readSettingChanges(sql)
  // If the statement is of another kind, its `set_config()` may be a function of the application.
  const isRead = statement.kind === 'session' || sets?.every(({ does }) => does !== 'config') === true
  if (sets !== undefined && isRead) {
    return statement.kind === 'session' ? { ...statement, sets } : { ...SESSION, isAllOrNothing: false, sets }
  }
  return mayKeepSettings(sql) ? { ...statement, keepsSettings: true } : statement
}

const MAY_SET: ReadonlySet<Statement['kind']> = new Set<Statement['kind']>(['session', 'write', 'function'])
