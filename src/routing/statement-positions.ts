import { type RequestMemory, sawPosition } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import type { Told } from '../nodes/asked-query.ts'
import type { Node } from '../nodes/node.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import {
  type CommitKind,
  PRIMARY_QUESTION,
  primaryAnswer,
  REPLICA_QUESTION,
  tellsPosition,
} from '../nodes/position-questions.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import type { Session } from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import type { PositionOfCommit } from './transaction.ts'

/** Finds the positions of what was written, which exact pins name. */
export class ExactWrites {
  readonly #set: ReplicaSet
  readonly #kinds: CommitKinds
  readonly #mayDefer: () => boolean

  /** `mayDefer` tells whether a trigger may run with a commit, and set how that is made when everything has been asked. */
  constructor(set: ReplicaSet, mayDefer: () => boolean) {
    this.#set = set
    this.#mayDefer = mayDefer
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

  /** A session is set to something else by now. */
  forget(client: PoolClientLike): void {
    this.#kinds.forget(client)
  }

  /** How to read the position of what a session has just committed. */
  positionOf(client: PoolClientLike): PositionOfCommit {
    const kind = this.#mayDefer() ? 'unflushed' : this.#kinds.of(client)
    return () => this.#set.positions.committed(kind)
  }
}

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

  /** Whatever it was set to, it may commit otherwise now. */
  forget(client: PoolClientLike): void {
    this.#known.delete(client)
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

/** Finds out how far reads have seen, for requests whose reads must not go back in time: no further than their node is right after. */
export class ExactReads {
  readonly #set: ReplicaSet

  constructor(set: ReplicaSet) {
    this.#set = set
  }

  /** What a session of this node can be asked right after a read; undefined where its server gives no positions. */
  questionFor({ sighting }: Node): string | undefined {
    if (sighting?.position === undefined) return undefined
    return sighting.isInRecovery ? REPLICA_QUESTION : PRIMARY_QUESTION
  }

  /**
   * Remembers, in the request's memory, how far a read on this session can have seen: by what was told right after it, or by a
   * question of its own. Who awaits it before the read's result is handed out never meets a read of which nobody knows yet.
   */
  saw(memory: RequestMemory, { node }: Session, told: Told | undefined): Promise<void> | undefined {
    const { name } = this.#set
    if (told !== undefined && tellsPosition(told)) {
      sawPosition(memory, name, this.#positionOf(node, told))
      return undefined
    }
    const asked = node === this.#set.primary ? this.#seenOnPrimary() : this.#seenOn(node)
    return asked.then((position) => sawPosition(memory, name, position))
  }

  #positionOf(node: Node, { client, askedAtMs, question, answer }: Told): Position | undefined {
    if (question === REPLICA_QUESTION) {
      return this.#onReplica(node, this.#set.positions.told(client, node, answer[0], askedAtMs))
    }
    const systemId = node.sighting?.systemId
    const its = primaryAnswer(answer)
    if (its === undefined || systemId === undefined) return undefined
    return { systemId, timeline: its.timeline, lsn: its.lsn }
  }

  #onReplica(node: Node, lsn: bigint | undefined): Position | undefined {
    const history = this.#set.positions.historyOf(node)
    return lsn === undefined || history === undefined ? undefined : { ...history, lsn }
  }

  #seenOnPrimary(): Promise<Position | undefined> {
    // Under asynchronous commit it shows what is not flushed yet.
    return this.#set.positions.committed('unflushed')
  }

  async #seenOn(node: Node): Promise<Position | undefined> {
    // The position would be that of whichever server answers, and not of the one that was read from.
    if (node.loadBalanced) return undefined
    return this.#onReplica(node, await this.#set.positions.replayed(node))
  }
}
