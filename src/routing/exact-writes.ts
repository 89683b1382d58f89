import type { PoolClientLike } from '../nodes/pool.ts'
import type { CommitKind } from '../nodes/position-questions.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import type { Statement } from '../sql/classifier.ts'
import { CommitKinds } from './commit-kinds.ts'
import type { PositionOfCommit } from './transaction.ts'

/** Finds the positions of what was written, which exact pins name. */
export class ExactWrites {
  readonly #set: ReplicaSet
  readonly #kinds: CommitKinds

  constructor(set: ReplicaSet) {
    this.#set = set
    this.#kinds = new CommitKinds(() => set.positions.configuration)
  }

  /** Takes note of a statement that a session of the primary has run, and of how that told that it commits. */
  ran(statement: Statement, client: PoolClientLike, kind: CommitKind | undefined): void {
    this.#kinds.saw(statement, client, kind)
  }

  /** Takes note of a statement that a session of the primary has refused. */
  refused(statement: Statement, client: PoolClientLike): void {
    this.#kinds.saw(statement, client, undefined)
  }

  /** How to read the position of what a session has just committed. */
  positionOf(client: PoolClientLike): PositionOfCommit {
    const kind = this.#kinds.of(client)
    return () => this.#set.positions.committed(kind)
  }
}
