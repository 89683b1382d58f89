import { mayKeepSettings } from './kept-settings.ts'
import { readSettingChanges } from './setting-changes.ts'
import { SESSION, type Statement } from './statement.ts'

/** What a statement is, with what its text sets in its session. */
export function withSettings(statement: Statement, sql: string): Statement {
  // What reads or locks calls nothing that sets.
  if (!MAY_SET.has(statement.kind) || statement.isControl) return statement
  const sets = readSettingChanges(sql)
  // Among several statements, a function of this name may be the application's.
  const isRead = statement.kind === 'session' || sets?.every(({ does }) => does !== 'config') === true
  if (sets !== undefined && isRead) {
    return statement.kind === 'session' ? { ...statement, sets } : { ...SESSION, isAllOrNothing: false, sets }
  }
  return mayKeepSettings(sql) ? { ...statement, keepsSettings: true } : statement
}

const MAY_SET: ReadonlySet<Statement['kind']> = new Set<Statement['kind']>(['session', 'write', 'function'])
