import { CompiledQuery, type DatabaseConnection } from 'kysely'
import type { CommitKind } from '../replicas/exact-positions.ts'
import type { Statement } from '../sql/classifier.ts'

/**
 * How the sessions of the primary commit: each is asked once, and again after a statement that may have changed its settings.
 * A hook of the application's, its role or its database may have set it for a session.
 */
export class CommitKinds {
  readonly #known = new WeakMap<DatabaseConnection, CommitKind>()

  /** How a session has just committed. In doubt it was not flushed: that position is never too low. */
  of(connection: DatabaseConnection): CommitKind {
    return this.#known.get(connection) ?? 'unflushed'
  }

  /** Asks a session that is in no transaction, where it is not known. */
  async learn(connection: DatabaseConnection): Promise<void> {
    if (this.#known.has(connection)) return
    try {
      const { rows } = await connection.executeQuery<{ synchronous_commit: string }>(SHOW)
      this.#known.set(connection, rows[0]?.synchronous_commit === 'off' ? 'unflushed' : 'flushed')
    } catch {
      // It stays in doubt.
    }
  }

  /** Takes note of a statement that a session has run. */
  saw(statement: Statement, connection: DatabaseConnection): void {
    if (mayChangeSettings(statement)) this.#known.delete(connection)
  }
}

/** `set`, `set_config()`, and whatever may do so in a function, or among several statements. */
export function mayChangeSettings({ kind, isAllOrNothing }: Statement): boolean {
  if (kind === 'session' || kind === 'function') return true
  return kind === 'write' && !isAllOrNothing
}

const SHOW = CompiledQuery.raw('show synchronous_commit')
