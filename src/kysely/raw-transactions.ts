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
    if (transaction === undefined) return
    if (transaction === 'begins' || transaction === 'commits-and-begins') this.#open.add(connection)
    else this.#open.delete(connection)
  }
}
