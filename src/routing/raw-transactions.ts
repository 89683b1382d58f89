import type { DatabaseConnection } from 'kysely'
import type { Statement } from '../sql/classifier.ts'

/**
 * The sessions in which an application has begun a transaction by a text of its own: what is written there is committed nobody
 * knows when.
 */
export class RawTransactions {
  readonly #open = new WeakSet<DatabaseConnection>()

  has(connection: DatabaseConnection): boolean {
    return this.#open.has(connection)
  }

  /** Takes note of a statement that a session has run. */
  saw({ transaction }: Statement, connection: DatabaseConnection): void {
    if (transaction === 'commits' || transaction === 'rolls-back') this.#open.delete(connection)
    else if (transaction !== undefined) this.#open.add(connection)
  }

  /** Takes note of a statement that the server has refused: a commit by itself has rolled back then. Of several statements nobody knows. */
  sawRefused({ kind, transaction }: Statement, connection: DatabaseConnection): void {
    if (kind === 'session' && transaction !== 'begins' && transaction !== undefined) {
      this.#open.delete(connection)
    }
  }

  /** Whatever was open has become a transaction of Kysely's, or has ended with one. */
  forget(connection: DatabaseConnection): void {
    this.#open.delete(connection)
  }
}
