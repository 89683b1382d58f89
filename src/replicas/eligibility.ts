import type { Ineligibility, Node } from './node.ts'

/** What a replica is held against. */
export interface Standard {
  readonly primary: Node
  readonly maxLagBytes: number | undefined
}

/** Why a replica serves no reads; undefined where it may. */
export function ineligibilityOf(node: Node, standard: Standard): Ineligibility | undefined {
  if (node.isDrained) return 'drained'
  if (node.health === 'unwatched') return undefined
  if (node.health !== 'up') return node.health
  if (node.sighting === undefined) return 'lag-unknown'
  return ineligibilityByHistory(node, standard.primary) ?? ineligibilityByLag(node, standard.maxLagBytes)
}

/** Whether a replica may serve where all are late: it answers, and has the primary's data. */
export function mayServeLate({ isEligible, ineligibility }: Node): boolean {
  return isEligible || ineligibility === 'lagging'
}

/** Whether its data is the primary's at all. */
function ineligibilityByHistory(node: Node, primary: Node): Ineligibility | undefined {
  const { sighting } = node
  if (sighting === undefined) return 'unknown'
  const its = primary.sighting
  // Another primary: one that was promoted, say. The primary itself under another name is as good as it.
  if (!sighting.isInRecovery && !isSameServer(node, primary)) return 'not-in-recovery'
  const isBalanced = node.loadBalanced || primary.loadBalanced
  if (!isBalanced && differ(sighting.systemId, its?.systemId)) return 'other-cluster'
  if (!areOfOneDatabase(node, primary)) return 'other-database'
  if (!sighting.isInRecovery || its === undefined || isBalanced) return undefined
  const areKnown = !its.isInRecovery && sighting.timeline !== undefined && its.timeline !== undefined
  const ahead = areKnown ? (sighting.timeline ?? 0) - (its.timeline ?? 0) : 0
  // Its position may look like one of the primary's. Where that is dead, it may be the primary that moves, and be seen soon.
  if (ahead > 0 && primary.isUp) return 'newer-timeline'
  if (node.divergedSince !== undefined) return 'diverged'
  return ahead < 0 ? 'old-timeline' : undefined
}

function ineligibilityByLag(node: Node, maxLagBytes: number | undefined): Ineligibility | undefined {
  if (node.sighting?.isInRecovery === false) return undefined
  if (node.lagMs === undefined) return 'lag-unknown'
  if (node.lagMs > node.maxLagMs) return 'lagging'
  if (maxLagBytes !== undefined && (node.lagBytes ?? 0) > maxLagBytes) return 'lagging'
  return undefined
}

/** Whether two nodes are one server: a "replica" whose address is the primary's, as in local development. */
export function isSameServer(a: Node, b: Node): boolean {
  if (a.sighting?.systemId === undefined || a.sighting.startedAt === undefined) return false
  return a.sighting.systemId === b.sighting?.systemId && a.sighting.startedAt === b.sighting.startedAt
}

/** Whether two nodes are connected to the same database of their cluster, as far as is known. */
export function areOfOneDatabase(a: Node, b: Node): boolean {
  return !differ(a.sighting?.databaseOid, b.sighting?.databaseOid)
}

function differ(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b
}
