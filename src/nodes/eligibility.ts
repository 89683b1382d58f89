import type { Ineligibility, Node } from './node.ts'

/** What a replica is held against. */
export interface Standard {
  readonly primary: Node
  readonly maxLagBytes: number | undefined
  /** By `Date.now()`. */
  readonly nowMs: number
  /** Whether no replica is eligible by what is known, so that one of which nobody knows how late it is may have to do. */
  readonly isNoneEligible: boolean
}

/** What the replicas are held against, by what is known of them. */
export function standardFor(replicas: readonly Node[], known: Omit<Standard, 'isNoneEligible'>): Standard {
  const standard = { ...known, isNoneEligible: false }
  const isEligible = (node: Node) => node.weight > 0 && ineligibilityOf(node, standard) === undefined
  return { ...standard, isNoneEligible: !replicas.some(isEligible) }
}

/** Why a replica serves no reads; undefined where it may. */
export function ineligibilityOf(node: Node, standard: Standard): Ineligibility | undefined {
  if (node.isDrained) return 'drained'
  if (node.health === 'unwatched') return undefined
  if (node.health !== 'up') return node.health
  if (node.sighting === undefined) return 'lag-unknown'
  return ineligibilityByHistory(node, standard.primary) ?? ineligibilityByLag(node, standard)
}

/** Whether a replica may serve where all are late: it answers, and has the primary's data, however late that is. */
export function mayServeLate({ isEligible, ineligibility, sighting }: Node): boolean {
  if (isEligible || ineligibility === 'lagging') return true
  // Where another source than the positions does not say how late it is, it serves nobody.
  return ineligibility === 'lag-unknown' && sighting?.position !== undefined
}

/** Whether all that keeps a replica from reads is how late it is, or that nobody knows that. */
export function isLate({ ineligibility }: Node): boolean {
  return ineligibility === 'lag-unknown' || ineligibility === 'lagging'
}

/** The least late of the replicas that answer, however late it is. */
export function leastLate<N extends Node>(
  replicas: readonly N[],
  tried: ReadonlySet<Node> | undefined,
): N | undefined {
  let best: N | undefined
  for (const node of replicas) {
    if (!mayServeLate(node) || node.weight === 0 || tried?.has(node)) continue
    if (best === undefined || isLessLate(node, best)) best = node
  }
  return best
}

/** Whether a replica is less late than another; of two of which nobody knows how late they are, whether it has replayed more. */
function isLessLate(a: Node, b: Node): boolean {
  if (a.lagMs !== undefined || b.lagMs !== undefined) {
    return (a.lagMs ?? Number.POSITIVE_INFINITY) < (b.lagMs ?? Number.POSITIVE_INFINITY)
  }
  return (a.sighting?.position ?? 0n) > (b.sighting?.position ?? 0n)
}

/** Whether a replica has the primary's data, however late, as far as is known. */
export function hasItsData({ ineligibility }: Node): boolean {
  return ineligibility === undefined || !HAS_OTHER_DATA.has(ineligibility)
}

const HAS_OTHER_DATA: ReadonlySet<Ineligibility> = new Set<Ineligibility>([
  'not-in-recovery',
  'other-cluster',
  'other-database',
  'diverged',
  'newer-timeline',
])

/** Why its data is not the primary's at all. */
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

function ineligibilityByLag(
  { sighting, lagMs, lagBytes, maxLagMs, knownUntilMs }: Node,
  { primary, maxLagBytes, nowMs, isNoneEligible }: Standard,
): Ineligibility | undefined {
  if (nowMs > knownUntilMs) return 'lag-unknown'
  if (sighting?.isInRecovery === false) return undefined
  if (lagMs === undefined) {
    // Where there is no primary, nothing is lost by it, and nobody else could serve.
    return isNoneEligible && sighting?.position !== undefined && isNoHelp(primary) ? undefined : 'lag-unknown'
  }
  if (lagMs > maxLagMs) return 'lagging'
  if (maxLagBytes !== undefined && (lagBytes ?? 0) > maxLagBytes) return 'lagging'
  return undefined
}

/** Whether nobody can say how far a primary has got, nor that it can serve: it is gone, none, or is not watched. */
function isNoHelp({ health, sighting, isGone }: Node): boolean {
  return isGone || health === 'unwatched' || sighting?.isInRecovery === true
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

/** Why a replica serves no reads, as a sentence without its end: `'replica-1' is down (connect ECONNREFUSED …)`. */
export function whyIneligible(node: Node, maxLagBytes: number | undefined): string {
  return `'${node.name}' ${WORDS[node.ineligibility ?? 'unknown'](node, maxLagBytes)}`
}

const WORDS: Record<Ineligibility, (node: Node, maxLagBytes: number | undefined) => string> = {
  unknown: () => 'has not answered yet',
  down: ({ downBecause = 'it does not answer' }) => `is down (${downBecause})`,
  drained: ({ name }) => `is drained (until \`resume('${name}')\`)`,
  lagging: howLate,
  'lag-unknown': whyUnknown,
  'not-in-recovery': () => 'takes writes: it was promoted, or is another server',
  'other-cluster': () => 'has the data of another cluster',
  'other-database': () => 'is connected to another database of the same servers',
  diverged: () => 'has replayed what the primary never wrote, and has to be rebuilt',
  'old-timeline': () => 'has no proof yet that it follows the new primary',
  'newer-timeline': () => 'follows another primary, which was promoted',
}

function whyUnknown({ sighting, knownUntilMs }: Node): string {
  if (sighting === undefined) return 'does not say how late it is'
  if (Date.now() > knownUntilMs) {
    return 'was not heard of lately (was this process stopped, or its host?), so nobody knows how late it is'
  }
  return sighting.position === undefined
    ? 'does not say how late it is'
    : 'has not replayed yet what the primary had written when this process first saw it, so nobody knows how late it is'
}

function howLate({ lagMs = 0, maxLagMs, lagBytes }: Node, maxLagBytes: number | undefined): string {
  return lagMs > maxLagMs
    ? `is ${Math.round(lagMs)} ms late, and \`maxLagMs\` is ${maxLagMs}`
    : `is ${lagBytes} bytes behind, and \`maxLagBytes\` is ${maxLagBytes}`
}
