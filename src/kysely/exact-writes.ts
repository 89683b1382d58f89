import type { DatabaseConnection } from 'kysely'
import type { ReplicaSet } from '../replicas/replica-set.ts'
import { keepTo } from '../routing/kept-node.ts'
import { type RequestMemory, sawPosition } from '../routing/memory.ts'
import type { Position } from '../routing/position.ts'
import type { Statement } from '../sql/classifier.ts'
import { CommitKinds, mayChangeSettings } from './commit-kinds.ts'
import type { NodeDriver } from './node-driver.ts'
import { RawTransactions } from './raw-transactions.ts'
import type { PositionOfCommit } from './write-record.ts'

/** Finds the positions that exact pins name: of what was written, and of what reads have seen. */
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
  ran(statement: Statement, sql: string, connection: DatabaseConnection): void {
    this.#kinds.saw(statement, connection)
    this.#rawTransactions.saw(statement, sql, connection)
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

  /** Remembers, in the request's memory, how far a read can have seen: no further than its node is now. */
  saw(node: NodeDriver, memory: RequestMemory): void {
    const { primary, name } = this.#set
    // A later read, before this position is known, must not go to the replica of an earlier one.
    if (node === primary) keepTo(memory, name, primary)
    sawPosition(memory, name, node === primary ? this.#seenOnPrimary() : this.#seenOn(node))
  }

  #seenOnPrimary(): Promise<Position | undefined> {
    // Under asynchronous commit it shows what is not flushed yet.
    return this.#set.positions.committed('unflushed')
  }

  async #seenOn(node: NodeDriver): Promise<Position | undefined> {
    // The position would be that of whichever server answers, and not of the one that was read from.
    if (node.loadBalanced) return undefined
    const its = this.#set.primary.sighting
    const lsn = await this.#set.positions.replayed(node)
    if (lsn === undefined || its?.systemId === undefined || its.timeline === undefined) return undefined
    return { systemId: its.systemId, timeline: its.timeline, lsn }
  }
}
