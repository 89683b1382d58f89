import type { Node } from '../replicas/node.ts'
import type { ReplicaSet } from '../replicas/replica-set.ts'
import { noReplica } from '../replicas/spill-gate.ts'
import { keepTo, keptNode } from '../routing/kept-node.ts'
import type { RequestMemory } from '../routing/memory.ts'
import type { Position } from '../routing/position.ts'
import type { Requirement } from '../routing/requirement.ts'
import type { NodeDriver } from './node-driver.ts'
import { type Attempt, type Claim, IS_FIT, IS_LATE, IS_PRIMARY, type Route } from './route.ts'

/** Spreads the reads that any replica may serve. */
export class ReadRouter {
  readonly #set: ReplicaSet<NodeDriver>

  constructor(set: ReplicaSet<NodeDriver>) {
    this.#set = set
  }

  /**
   * The route of a read that needs no node in particular, to none of those that were tried before.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NO_REPLICA` where no replica is fit and `whenNoReplica` is `'error'`.
   */
  route(requirement: Requirement, memory: RequestMemory | undefined, before: Attempt = FIRST): Route {
    const { operator, primary } = this.#set
    const { tried } = before
    if (!this.#set.isShared) return { node: primary, reason: 'no-replica', claim: IS_PRIMARY }
    if (operator.mode !== 'split') return this.#insteadOfReplica()
    if (operator.replicaShare < 1 && tried === undefined && !this.#mayReadFromReplica(memory)) {
      return { node: primary, reason: 'share', claim: IS_PRIMARY }
    }
    if (requirement.kind === 'atLeast') return this.#routeAtLeast(requirement, memory, before)
    const node = this.#replicaFor(memory, tried)
    if (node === undefined) return this.#withoutReplica(requirement, tried)
    return { node, reason: tried === undefined ? requirement.reason : 'moved', claim: IS_FIT }
  }

  /** Whether a node is known to have replayed what an exact pin demands. */
  isFreshEnough(node: NodeDriver, position: Position): boolean {
    const { positions } = this.#set
    return node.isEligible && positions.isComparable(position) && positions.hasReplayed(node, position)
  }

  /** Any replica that has replayed that far; what was once seen of it answers for free. */
  #routeAtLeast(
    { position, reason }: Requirement & { kind: 'atLeast' },
    memory: RequestMemory | undefined,
    { tried, hasLooked = false, unproven }: Attempt,
  ): Route {
    const { positions, primary, eligible, settings, name } = this.#set
    // Of another history: nobody can tell, so the primary serves until the pin is over.
    const onPrimary: Route = { node: primary, reason, claim: IS_PRIMARY }
    if (!positions.isComparable(position)) return onPrimary
    const kept = memory && (keptNode(memory, name) as NodeDriver | undefined)
    // No value in a cookie makes a request wait more than once.
    if (kept === primary) return onPrimary
    const left = tried === undefined ? eligible : eligible.filter((node) => !tried.has(node))
    if (left.length === 0) return this.#withoutReplica({ kind: 'atLeast', position, reason }, tried)
    const fresh = left.filter((node) => positions.hasReplayed(node, position) && !unproven?.has(node))
    const claim: Claim = { kind: 'fresh', position }
    if (kept !== undefined && fresh.includes(kept)) return { node: kept, reason, claim }
    const node = this.#set.chooseAmong(fresh, memory?.affinityKey?.())
    if (node !== undefined) {
      if (memory !== undefined) keepTo(memory, name, node)
      return { node, reason, claim }
    }
    if (!hasLooked && left.some(({ loadBalanced }) => !loadBalanced)) {
      return { ...onPrimary, look: () => positions.lookFor(position, settings.catchUpMs) }
    }
    if (memory !== undefined) keepTo(memory, name, primary)
    return onPrimary
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
    return { node: primary, reason: 'mode', claim: IS_PRIMARY }
  }

  #withoutReplica(requirement: Requirement, tried?: ReadonlySet<Node>): Route {
    const { primary, spill, settings, name } = this.#set
    if (settings.whenNoReplica === 'error') throw noReplica(name, "and `whenNoReplica` is 'error'")
    // Their reads must not make worse what made the replicas late.
    const late = spill.isFull && requirement.kind === 'any' ? this.#set.leastLagging(tried) : undefined
    if (late !== undefined) return { node: late, reason: 'overflow', claim: IS_LATE }
    return { node: primary, reason: 'no-replica', claim: IS_PRIMARY, spills: true }
  }
}

const FIRST: Attempt = { tried: undefined }
