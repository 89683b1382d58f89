import type { DatabaseConnection } from 'kysely'
import type { ReplicaSet } from '../replicas/replica-set.ts'
import { keepTo } from '../routing/kept-node.ts'
import { type RequestMemory, sawPosition } from '../routing/memory.ts'
import type { Position } from '../routing/position.ts'
import type { Statement } from '../sql/classifier.ts'
import { CommitKinds, mayChangeSettings } from './commit-kinds.ts'
import type { NodeDriver } from './node-driver.ts'
import type { PositionOfCommit } from './write-record.ts'

/** Finds the positions that exact pins name: of what was written, and of what reads have seen. */
export class ExactWrites {
  readonly #set: ReplicaSet<NodeDriver>
  readonly #kinds = new CommitKinds()

  constructor(set: ReplicaSet<NodeDriver>) {
    this.#set = set
  }

  /** Takes note of a statement that a session of the primary has run. */
  ran(statement: Statement, connection: DatabaseConnection): void {
    this.#kinds.saw(statement, connection)
  }

  /** Learns how a session commits, for its next commit; it must be in no transaction. */
  learn(connection: DatabaseConnection): Promise<void> {
    return this.#kinds.learn(connection)
  }

  /** How to read the position of what a session commits, as far as is known. */
  positionOf(connection: DatabaseConnection): PositionOfCommit {
    const kind = this.#kinds.of(connection)
    return () => this.#set.positions.committed(kind)
  }

  /** How to read the position of a statement that a session has just run and committed. */
  async positionAfter(statement: Statement, connection: DatabaseConnection): Promise<PositionOfCommit> {
    // What it set may have held for itself alone.
    const position = this.positionOf(connection)
    if (mayChangeSettings(statement)) return position
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
