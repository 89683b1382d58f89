import type { DatabaseConnection } from 'kysely'
import type { ReplicaSet } from '../replicas/replica-set.ts'
import type { Statement } from '../sql/classifier.ts'
import { CommitKinds, mayChangeSettings } from './commit-kinds.ts'
import type { NodeDriver } from './node-driver.ts'
import { RawTransactions } from './raw-transactions.ts'
import type { PositionOfCommit } from './write-record.ts'

/** Finds the positions of what was written, which exact pins name. */
export class ExactWrites {
  readonly #set: ReplicaSet<NodeDriver>
  readonly #kinds: CommitKinds
  readonly #rawTransactions = new RawTransactions()

  /** With `mayChangeUnseen` sessions run more than this package sees: a hook of the application's does at each use. */
  constructor(set: ReplicaSet<NodeDriver>, mayChangeUnseen: boolean) {
    this.#set = set
    this.#kinds = new CommitKinds(() => set.positions.configuration, mayChangeUnseen)
  }

  /** Takes note of a statement that a session of the primary has run. */
  ran(statement: Statement, connection: DatabaseConnection): void {
    this.#kinds.saw(statement, connection)
    this.#rawTransactions.saw(statement, connection)
  }

  /** Takes note of a statement that a session of the primary has refused. */
  refused(statement: Statement, connection: DatabaseConnection): void {
    this.#rawTransactions.sawRefused(statement, connection)
  }

  /** Takes note of a transaction of Kysely's that a session has begun or ended: no text's is open beside it. */
  sawTransaction(connection: DatabaseConnection): void {
    this.#rawTransactions.forget(connection)
  }

  /** Learns how a session commits, for its next commit; it must be in no transaction. */
  learn(connection: DatabaseConnection): Promise<void> {
    return this.#kinds.learn(connection)
  }

  /** How to read the position of what a session commits, as far as is known; undefined where nobody knows when it does. */
  positionOf(connection: DatabaseConnection): PositionOfCommit | undefined {
    if (this.#rawTransactions.has(connection)) return undefined
    const kind = this.#kinds.of(connection)
    return () => this.#set.positions.committed(kind)
  }

  /** How to read the position of a statement that a session has just run and committed. */
  async positionAfter(
    statement: Statement,
    connection: DatabaseConnection,
  ): Promise<PositionOfCommit | undefined> {
    // What it set may have held for itself alone.
    const position = this.positionOf(connection)
    if (position === undefined || mayChangeSettings(statement)) return position
    await this.#kinds.learn(connection)
    return this.positionOf(connection)
  }
}
