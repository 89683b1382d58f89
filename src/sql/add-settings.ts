import { readSettingChanges } from './setting-changes.ts'
import { SESSION, type Statement } from './statement.ts'
import { maySetUnfollowed } from './unfollowed-settings.ts'

/** Adds to a classified statement the settings that its text makes in the session. */
export function addSettings(statement: Statement, sql: string): Statement {
  // Statements of the other kinds read or lock, and set nothing.
  if (!MAY_SET.has(statement.kind) || statement.isControl) return statement
  const sets = readSettingChanges(sql)
  // Only in a statement of kind `'session'` is `set_config()` surely PostgreSQL's own. In another kind it may be the
  // application's.
  const isRead = statement.kind === 'session' || sets?.every(({ does }) => does !== 'config') === true
  if (sets !== undefined && isRead) {
    return statement.kind === 'session' ? { ...statement, sets } : { ...SESSION, isAllOrNothing: false, sets }
  }
  return maySetUnfollowed(sql) ? { ...statement, keepsSettings: true } : statement
}

const MAY_SET: ReadonlySet<Statement['kind']> = new Set<Statement['kind']>(['session', 'write', 'function'])
