import type { PoolClientLike } from '../nodes/pool.ts'
import type { CommitKind } from '../nodes/position-questions.ts'
import type { Statement } from '../sql/classifier.ts'

/**
 * How the sessions of the primary commit what they have just run. Each write asks that along, in its own message: a hook of the
 * application's, a role, a trigger or a function may have set it for a session, and no text says so. It holds until the session runs
 * anything that may set it anew.
 */
export class CommitKinds {
  readonly #known = new WeakMap<PoolClientLike, { kind: CommitKind; configuration: number }>()
  readonly #configuration: () => number

  /** `configuration` counts how often the server has read its own. */
  constructor(configuration: () => number) {
    this.#configuration = configuration
  }

  /** How a session commits. In doubt it does not flush: that position is never too low. */
  of(client: PoolClientLike): CommitKind {
    const known = this.#known.get(client)
    return known?.configuration === this.#configuration() ? known.kind : 'unflushed'
  }

  /**
   * Takes note of a statement that a session has run, and of what the session told after it. With the end of a transaction, or to a
   * savepoint, what was set may have been taken back.
   */
  saw(statement: Statement, client: PoolClientLike, kind: CommitKind | undefined): void {
    if (kind !== undefined) this.#known.set(client, { kind, configuration: this.#configuration() })
    else if (statement.mayWrite || statement.kind === 'session') this.#known.delete(client)
  }
}
