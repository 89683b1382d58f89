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

  /** Takes note of a statement that a session has run. In doubt a transaction goes on. */
  saw({ kind, isAllOrNothing }: Statement, sql: string, connection: DatabaseConnection): void {
    if (
      kind === 'session' ? BEGINS.test(sql) : kind === 'write' && !isAllOrNothing && BEGINS_AMONG.test(sql)
    ) {
      this.#open.add(connection)
    } else if (kind === 'session' && ENDS.test(sql)) this.#open.delete(connection)
  }
}

// https://www.postgresql.org/docs/current/sql-begin.html
const BEGINS = /^(?:\s|--.*\n|\/\*[\s\S]*?\*\/)*(?:begin|start)\b/i
/** The same among several statements; `do $$ begin` begins none. */
const BEGINS_AMONG = /(?:^|;)\s*(?:begin|start)\b/i
/** `rollback to` ends none, and `commit and chain` begins the next. */
const ENDS = /^\s*(?:commit|end|abort|rollback)\b(?!.*\b(?:to|chain)\b)/is
