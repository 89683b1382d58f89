import type { RouteReason } from '../diagnostics.ts'
import { keepTo, keptNode, type RequestMemory } from '../freshness/memory.ts'
import { haveSameHistory, type Position } from '../freshness/position.ts'
import type { Requirement } from '../freshness/requirement.ts'
import { mayServeDespiteLag } from '../nodes/eligibility.ts'
import type { Node } from '../nodes/node.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import { noReplica } from '../nodes/spill-gate.ts'
import { type Attempt, type Claim, IS_FIT, IS_LATE, IS_PRIMARY, type Look, type Route } from './route.ts'

/** Routes reads: chooses a replica, or the primary if no replica will do. */
export class ReadRouter {
  readonly #set: ReplicaSet

  constructor(set: ReplicaSet) {
    this.#set = set
  }

  /**
   * The route of a read that needs no node in particular, to a node that was not tried before.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NO_REPLICA` if no replica is fit and `whenNoReplica` is `'error'`.
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
    if (node === undefined) return this.#withoutReplica(requirement, before)
    return { node, reason: tried === undefined ? requirement.reason : 'moved', claim: IS_FIT }
  }

  /**
   * The route of a read that must show no older state than earlier reads, if the position of those is unknown: the
   * primary. If the primary is down, the replica of the earlier reads, or else the one that has replayed most.
   */
  routeOfUnknownPosition(
    reason: RouteReason,
    memory: RequestMemory | undefined,
    { tried, isPrimaryLost }: Attempt = FIRST,
  ): Route {
    const { primary, operator } = this.#set
    const onPrimary: Route = { node: primary, reason, claim: IS_PRIMARY, seen: 'unknown' }
    // One lost connection does not mean that it is down.
    const isDown = !primary.isUp || isPrimaryLost === true
    if (!isDown || operator.mode !== 'split') return onPrimary
    this.#set.refreshIfOld()
    const kept = this.#kept(memory)
    const left = this.#left(tried, isDown)
    const node = kept !== undefined && left.includes(kept) ? kept : furthest(left)
    if (node === undefined) return onPrimary
    if (memory !== undefined) keepTo(memory, this.#set.name, node.name)
    return { node, reason, claim: node.isEligible ? IS_FIT : IS_LATE }
  }

  /**
   * Whether a node is known to have replayed what an exact pin demands. With `observedIsEnough`, what was observed of
   * it counts too, even if the primary is gone since.
   */
  isFreshEnough(node: Node, position: Position, observedIsEnough: boolean): boolean {
    const { positions } = this.#set
    // It may lag: a user who has only read misses no write there.
    if (observedIsEnough && mayServeDespiteLag(node) && positions.hasObserved(node, position)) return true
    return node.isEligible && positions.isComparable(position) && positions.hasReplayed(node, position)
  }

  /** The route to any replica that has replayed that far. A replica that was seen that far is not asked again. */
  #routeAtLeast(
    requirement: Requirement & { kind: 'atLeast' },
    memory: RequestMemory | undefined,
    before: Attempt,
  ): Route {
    const { position, reason, comesFromReads = false } = requirement
    const { tried, looked, unproven } = before
    const { positions, primary, settings, name } = this.#set
    const seen = comesFromReads ? 'position' : undefined
    const onPrimary: Route = { node: primary, reason, claim: IS_PRIMARY, seen }
    // The position comes from reads only, so no write can be missed. While the primary is gone, what was observed of a
    // replica is enough.
    const observedIsEnough = comesFromReads && this.#isPrimaryGone(tried)
    const left = this.#left(tried, observedIsEnough)
    // A position of another history says nothing, so the primary serves until the pin expires.
    if (!positions.isComparable(position)) {
      if (!observedIsEnough) return onPrimary
      const isOfSome = left.some((node) => {
        const history = positions.historyOf(node)
        return history !== undefined && haveSameHistory(history, position)
      })
      if (!isOfSome) return this.routeOfUnknownPosition(reason, memory, before)
    }
    const kept = this.#kept(memory)
    // This request has looked for a replica before, in vain. So a request waits once at most, whatever its cookie says.
    if (kept === primary && !observedIsEnough) return onPrimary
    if (left.length === 0) {
      // With `whenNoReplica: 'error'`, a read after the user's own write is not refused: it goes to the primary, as
      // under a time pin.
      const staysOnPrimary = settings.whenNoReplica === 'error' && !comesFromReads
      return staysOnPrimary ? onPrimary : this.#withoutReplica(requirement, before)
    }
    const has = (node: Node) => this.isFreshEnough(node, position, observedIsEnough)
    const fresh = left.filter((node) => has(node) && !unproven?.has(node))
    const claim: Claim = { kind: 'fresh', position, observedIsEnough }
    if (kept !== undefined && fresh.includes(kept)) return { node: kept, reason, claim }
    const node = this.#set.chooseAmong(fresh, memory?.affinityKey?.())
    if (node !== undefined) {
      if (memory !== undefined) keepTo(memory, name, node.name)
      return { node, reason, claim }
    }
    if (!looked?.has('positions') && left.some(({ loadBalanced }) => !loadBalanced)) {
      const run = () => positions.lookFor(position, settings.catchUpMs, has)
      return { ...onPrimary, look: { at: 'positions', run } }
    }
    if (memory !== undefined) keepTo(memory, name, primary.name)
    return onPrimary
  }

  /** The replicas that may serve and were not tried. If none is fit, and `mayBeLate` is true, those that lag. */
  #left(tried: Attempt['tried'], mayBeLate: boolean): readonly Node[] {
    const { eligible, replicas, settings } = this.#set
    const fit = tried === undefined ? eligible : eligible.filter((node) => !tried.has(node))
    if (fit.length > 0 || !mayBeLate || settings.whenNoReplica === 'error') return fit
    return replicas.filter((node) => node.weight > 0 && mayServeDespiteLag(node) && !tried?.has(node))
  }

  /** Whether the primary is no help: it is known to be down, or has just failed this read. */
  #isPrimaryGone(tried: Attempt['tried']): boolean {
    const { primary } = this.#set
    return !primary.isUp || tried?.has(primary) === true
  }

  /** A replica for the request. A request keeps to one replica as long as that is fit. */
  #replicaFor(memory: RequestMemory | undefined, tried?: ReadonlySet<Node>): Node | undefined {
    if (memory === undefined) return this.#set.choose(undefined, tried)
    const kept = this.#kept(memory)
    if (kept?.role === 'replica' && kept.isEligible && !tried?.has(kept)) return kept
    const chosen = this.#set.choose(memory.affinityKey?.(), tried)
    if (chosen !== undefined) keepTo(memory, this.#set.name, chosen.name)
    return chosen
  }

  /** The node of this cluster that the request keeps to. */
  #kept(memory: RequestMemory | undefined): Node | undefined {
    const name = memory && keptNode(memory, this.#set.name)
    if (name === undefined) return undefined
    // A plain loop: there are few nodes, and this is on the path of every read.
    for (const node of this.#set.replicas) if (node.name === name) return node
    return this.#set.primary.name === name ? this.#set.primary : undefined
  }

  /**
   * Whether a request may read from replicas, if the operator allows that to a share of the requests only. All reads of
   * one request go the same way.
   */
  #mayReadFromReplica(memory: RequestMemory | undefined): boolean {
    const kept = this.#kept(memory)
    if (kept !== undefined) return kept !== this.#set.primary
    const may = Math.random() < this.#set.operator.replicaShare
    if (!may && memory !== undefined) keepTo(memory, this.#set.name, this.#set.primary.name)
    return may
  }

  /** The route to the primary, if the operator has it serve all reads. */
  #insteadOfReplica(): Route {
    const { primary, operator } = this.#set
    if (operator.mode === 'observe') operator.observe((this.#set.choose(undefined) ?? primary).name)
    return { node: primary, reason: 'mode', claim: IS_PRIMARY }
  }

  #withoutReplica(requirement: Requirement, { tried, isPrimaryLost, looked }: Attempt): Route {
    const { primary, spill, settings, name } = this.#set
    if (settings.whenNoReplica === 'error') {
      if (!this.#set.isSettling || looked?.has('lag')) throw noReplica(name, "and `whenNoReplica` is 'error'")
      const look: Look = { at: 'lag', run: () => this.#set.settled() }
      return { node: primary, reason: 'no-replica', claim: IS_PRIMARY, look }
    }
    // A late replica serves if the primary is down. It also serves if the spill gate is full: more reads on the primary
    // could slow replication further. But if a replica's lag will be known in a moment (`isSettling`), the read waits
    // for that.
    const isPrimaryGone = primary.canServeNobody || isPrimaryLost === true
    const isNoHelp = isPrimaryGone || (spill.isFull && !this.#set.isSettling)
    const late = isNoHelp && requirement.kind === 'any' ? this.#set.leastLagging(tried) : undefined
    if (late !== undefined) return { node: late, reason: 'overflow', claim: IS_LATE }
    return { node: primary, reason: 'no-replica', claim: IS_PRIMARY, spills: true }
  }
}

const FIRST: Attempt = { tried: undefined }

/** The replica that has replayed most. If no position is known, the one that lags least. */
function furthest(nodes: readonly Node[]): Node | undefined {
  let best: Node | undefined
  for (const node of nodes) if (best === undefined || isFurther(node, best)) best = node
  return best
}

function isFurther(a: Node, b: Node): boolean {
  const [ofA, ofB] = [a.observed.lsn, b.observed.lsn]
  if (ofA !== undefined && ofB !== undefined && ofA !== ofB) return ofA > ofB
  if (ofA === undefined || ofB === undefined) return ofA !== undefined
  return (a.lagMs ?? Number.POSITIVE_INFINITY) < (b.lagMs ?? Number.POSITIVE_INFINITY)
}
