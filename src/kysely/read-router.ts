import type { Node } from '../replicas/node.ts'
import type { ReplicaSet } from '../replicas/replica-set.ts'
import { noReplica } from '../replicas/spill-gate.ts'
import { keepTo, keptNode } from '../routing/kept-node.ts'
import type { RequestMemory } from '../routing/memory.ts'
import type { Requirement } from '../routing/requirement.ts'
import type { Route } from './cluster.ts'
import type { NodeDriver } from './node-driver.ts'

/** Spreads the reads that any replica may serve. */
export class ReadRouter {
  readonly #set: ReplicaSet<NodeDriver>

  constructor(set: ReplicaSet<NodeDriver>) {
    this.#set = set
  }

  /**
   * The route of a read that needs no node in particular, to none of those that were `tried` already.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NO_REPLICA` where no replica is fit and `whenNoReplica` is `'error'`.
   */
  route(requirement: Requirement, memory: RequestMemory | undefined, tried?: ReadonlySet<Node>): Route {
    const { operator } = this.#set
    if (this.#set.replicas.length === 0) return { node: this.#set.primary, reason: 'no-replica' }
    if (operator.mode !== 'split') return this.#insteadOfReplica()
    if (operator.replicaShare < 1 && tried === undefined && !this.#mayReadFromReplica(memory)) {
      return { node: this.#set.primary, reason: 'share' }
    }
    const node = this.#replicaFor(memory, tried)
    if (node === undefined) return this.#withoutReplica(requirement, tried)
    return { node, reason: tried === undefined ? requirement.reason : 'moved' }
  }

  /** One request keeps to one replica, as long as that is fit. */
  #replicaFor(memory: RequestMemory | undefined, tried?: ReadonlySet<Node>): NodeDriver | undefined {
    if (memory === undefined) return this.#set.choose(undefined, tried)
    const kept = keptNode(memory, this.#set.name) as NodeDriver | undefined
    if (kept?.role === 'replica' && kept.isEligible && !tried?.has(kept)) return kept
    const chosen = this.#set.choose(memory.affinityKey?.(), tried)
    if (chosen !== undefined) keepTo(memory, this.#set.name, chosen)
    return chosen
  }

  /** An operator has a part of the requests, and all of each one's reads, go to replicas. */
  #mayReadFromReplica(memory: RequestMemory | undefined): boolean {
    const kept = memory === undefined ? undefined : keptNode(memory, this.#set.name)
    if (kept !== undefined) return kept !== this.#set.primary
    const may = Math.random() < this.#set.operator.replicaShare
    if (!may && memory !== undefined) keepTo(memory, this.#set.name, this.#set.primary)
    return may
  }

  /** An operator has the primary serve. */
  #insteadOfReplica(): Route {
    const { primary, operator } = this.#set
    if (operator.mode === 'observe') operator.observe((this.#set.choose(undefined) ?? primary).name)
    return { node: primary, reason: 'mode' }
  }

  #withoutReplica(requirement: Requirement, tried?: ReadonlySet<Node>): Route {
    const { primary, spill, settings, name } = this.#set
    if (settings.whenNoReplica === 'error') throw noReplica(name, "and `whenNoReplica` is 'error'")
    // Their reads must not make worse what made the replicas late.
    const late = spill.isFull && requirement.kind === 'any' ? this.#set.leastLagging(tried) : undefined
    if (late !== undefined) return { node: late, reason: 'overflow', stays: true }
    return { node: primary, reason: 'no-replica', spills: true }
  }
}
