import { CompiledQuery, type DatabaseConnection } from 'kysely'
import type { CommitKind } from '../replicas/exact-positions.ts'
import { withPatience } from '../replicas/patience.ts'
import type { Statement } from '../sql/classifier.ts'

/** How long a session may take to say how it commits, in ms: what it has just committed is not held up by more. */
const TIMEOUT_MS = 250

/**
 * How the sessions of the primary commit: each is asked once, and again after a statement that may have changed its settings, or
 * when the server has read its configuration anew. A hook of the application's, its role or its database may have set it for
 * a session.
 */
export class CommitKinds {
  readonly #known = new WeakMap<DatabaseConnection, { kind: CommitKind; configuration: number }>()
  readonly #configuration: () => number
  readonly #mayChangeUnseen: boolean

  /** `configuration` counts how often the server has read its own; with `mayChangeUnseen` nobody sees all that sessions run. */
  constructor(configuration: () => number, mayChangeUnseen: boolean) {
    this.#configuration = configuration
    this.#mayChangeUnseen = mayChangeUnseen
  }

  /** How a session has just committed. In doubt it was not flushed: that position is never too low. */
  of(connection: DatabaseConnection): CommitKind {
    const known = this.#known.get(connection)
    return known?.configuration === this.#configuration() ? known.kind : 'unflushed'
  }

  /** Asks a session that is in no transaction, where it is not known; never rejects. */
  async learn(connection: DatabaseConnection): Promise<void> {
    const configuration = this.#configuration()
    if (this.#mayChangeUnseen || this.#known.get(connection)?.configuration === configuration) return
    try {
      const asked = connection.executeQuery<{ synchronous_commit: string }>(SHOW)
      const { rows } = await withPatience(asked, TIMEOUT_MS)
      const kind = rows[0]?.synchronous_commit === 'off' ? 'unflushed' : 'flushed'
      this.#known.set(connection, { kind, configuration })
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
