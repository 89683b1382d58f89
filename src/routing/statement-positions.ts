import { type RequestMemory, sawPosition } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import type { Answered } from '../nodes/asked-query.ts'
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

/** Finds the positions of writes, for exact pins. */
export class WritePositions {
  readonly #set: ReplicaSet
  readonly #kinds: CommitKinds
  readonly #mayDefer: () => boolean

  /**
   * `mayDefer` says whether a deferred trigger may run at the commit. That is after all questions, and the trigger may
   * change how the commit is made.
   */
  constructor(set: ReplicaSet, mayDefer: () => boolean) {
    this.#set = set
    this.#mayDefer = mayDefer
    this.#kinds = new CommitKinds(() => set.positions.configuration)
  }

  /** Records a statement that a session of the primary has run, and how that session said that it commits. */
  ran(statement: Statement, client: PoolClientLike, kind: CommitKind | undefined): void {
    this.#kinds.saw(statement, client, kind)
  }

  /** Records a statement that a session of the primary has refused. */
  refused(statement: Statement, client: PoolClientLike): void {
    this.#kinds.saw(statement, client, undefined)
  }

  /** The session is set to something else now. */
  forget(client: PoolClientLike): void {
    this.#kinds.forget(client)
  }

  /** Gives a function that reads the position of what a session has just committed. */
  positionOf(client: PoolClientLike): PositionOfCommit {
    const kind = this.#mayDefer() ? 'unflushed' : this.#kinds.of(client)
    return () => this.#set.positions.committed(kind)
  }
}

/**
 * How the sessions of the primary commit. Each write asks this in its own message, because the text does not show it: a
 * hook of the application, a role, a trigger or a function may have set it for the session. The answer holds until the
 * session runs something that may change it.
 */
export class CommitKinds {
  readonly #known = new WeakMap<PoolClientLike, { kind: CommitKind; configuration: number }>()
  readonly #configuration: () => number

  /** `configuration` counts how often the server has loaded its configuration. */
  constructor(configuration: () => number) {
    this.#configuration = configuration
  }

  /** How a session commits. In doubt `'unflushed'`: that position is never too low. */
  of(client: PoolClientLike): CommitKind {
    const known = this.#known.get(client)
    return known?.configuration === this.#configuration() ? known.kind : 'unflushed'
  }

  /** The session may commit in another way from now on. */
  forget(client: PoolClientLike): void {
    this.#known.delete(client)
  }

  /**
   * Records a statement that a session has run, and what the session answered after it. The end of a transaction, or a
   * rollback to a savepoint, may take back what was set.
   */
  saw(statement: Statement, client: PoolClientLike, kind: CommitKind | undefined): void {
    if (kind !== undefined) this.#known.set(client, { kind, configuration: this.#configuration() })
    else if (statement.mayWrite || statement.kind === 'session') this.#known.delete(client)
  }
}

/**
 * Finds out how far reads have seen, for requests whose reads must not go back in time. The position of its node right
 * after a read covers everything that the read has seen.
 */
export class ReadPositions {
  readonly #set: ReplicaSet

  constructor(set: ReplicaSet) {
    this.#set = set
  }

  /** The question for a session of this node right after a read; undefined if its server gives no positions. */
  questionFor({ sighting }: Node): string | undefined {
    if (sighting?.position === undefined) return undefined
    return sighting.isInRecovery ? REPLICA_QUESTION : PRIMARY_QUESTION
  }

  /**
   * Remembers in the request's memory how far a read on this session can have seen: by what the session answered right
   * after it, or by a question of its own. Wait for this before the read's result is handed out. Otherwise the next
   * read may not know how far this one has seen.
   */
  saw(memory: RequestMemory, { node }: Session, told: Answered | undefined): Promise<void> | undefined {
    const { name } = this.#set
    if (told !== undefined && tellsPosition(told)) {
      sawPosition(memory, name, this.#positionOf(node, told))
      return undefined
    }
    const asked = node === this.#set.primary ? this.#seenOnPrimary() : this.#seenOn(node)
    return asked.then((position) => sawPosition(memory, name, position))
  }

  #positionOf(node: Node, { client, askedAtMs, question, answer }: Answered): Position | undefined {
    if (question === REPLICA_QUESTION) {
      return this.#onReplica(node, this.#set.positions.reported(client, node, answer[0], askedAtMs))
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
    // Under asynchronous commit, the primary shows what is not flushed yet.
    return this.#set.positions.committed('unflushed')
  }

  async #seenOn(node: Node): Promise<Position | undefined> {
    // Behind a load balancer, another server than the one that was read from may answer.
    if (node.loadBalanced) return undefined
    return this.#onReplica(node, await this.#set.positions.replayed(node))
  }
}
