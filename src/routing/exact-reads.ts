import { type RequestMemory, sawPosition } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import type { Told } from '../nodes/asked-query.ts'
import type { Node } from '../nodes/node.ts'
import { PRIMARY_QUESTION, primaryAnswer, REPLICA_QUESTION } from '../nodes/position-questions.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import type { Session } from '../nodes/session.ts'

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
    if (told !== undefined) {
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
