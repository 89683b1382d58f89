import type { DatabaseConnection } from 'kysely'
import type { CommitKind } from '../nodes/exact-positions.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import type { Statement } from '../sql/classifier.ts'
import { CommitKinds } from './commit-kinds.ts'
import type { NodeDriver } from './node-driver.ts'
import { RawTransactions } from './raw-transactions.ts'
import type { PositionOfCommit } from './write-record.ts'

/** Finds the positions of what was written, which exact pins name. */
export class ExactWrites {
  readonly #set: ReplicaSet<NodeDriver>
  readonly #kinds: CommitKinds
  readonly #rawTransactions = new RawTransactions()

  constructor(set: ReplicaSet<NodeDriver>) {
    this.#set = set
    this.#kinds = new CommitKinds(() => set.positions.configuration)
  }

  /** Takes note of a statement that a session of the primary has run, and of how that told that it commits. */
  ran(statement: Statement, connection: DatabaseConnection, kind: CommitKind | undefined): void {
    this.#kinds.saw(statement, connection, kind)
    this.#rawTransactions.saw(statement, connection)
  }

  /** Takes note of a statement that a session of the primary has refused. */
  refused(statement: Statement, connection: DatabaseConnection): void {
    this.#kinds.saw(statement, connection, undefined)
    this.#rawTransactions.sawRefused(statement, connection)
  }

  /** Takes note of a transaction of Kysely's that a session has begun or ended: no text's is open beside it. */
  sawTransaction(connection: DatabaseConnection): void {
    this.#rawTransactions.forget(connection)
    this.#kinds.forget(connection)
  }

  /** Takes note of a savepoint that a session has rolled back to. */
  sawRollbackTo(connection: DatabaseConnection): void {
    this.#kinds.forget(connection)
  }

  /** How to read the position of a transaction of Kysely's that a session has just committed; that is noted. */
  positionOfCommit(connection: DatabaseConnection): PositionOfCommit {
    const kind = this.#kinds.of(connection)
    this.sawTransaction(connection)
    return () => this.#set.positions.committed(kind)
  }

  /** How to read the position of what a session has just run and committed, as far as is known; undefined where nobody knows when it does. */
  positionOf(connection: DatabaseConnection): PositionOfCommit | undefined {
    if (this.#rawTransactions.has(connection)) return undefined
    const kind = this.#kinds.of(connection)
    return () => this.#set.positions.committed(kind)
  }
}
