import type { Ineligibility, Node } from './node.ts'

/** What decides whether a replica is eligible, beside the replica itself. */
export interface EligibilityRules {
  readonly primary: Node
  readonly maxLagBytes: number | undefined
  /** By `Date.now()`. */
  readonly nowMs: number
  /** Whether no replica is eligible by its known lag. Then a replica of unknown lag may have to serve. */
  readonly isNoneEligible: boolean
}

/** Completes the rules: adds whether any replica is eligible by what is known. */
export function rulesFor(
  replicas: readonly Node[],
  known: Omit<EligibilityRules, 'isNoneEligible'>,
): EligibilityRules {
  const rules = { ...known, isNoneEligible: false }
  const isEligible = (node: Node) => node.weight > 0 && ineligibilityOf(node, rules) === undefined
  return { ...rules, isNoneEligible: !replicas.some(isEligible) }
}

/** Why a replica serves no reads; undefined if it may serve them. */
export function ineligibilityOf(node: Node, rules: EligibilityRules): Ineligibility | undefined {
  if (node.isDrained) return 'drained'
  if (node.health === 'unwatched') return undefined
  if (node.health !== 'up') return node.health
  if (node.sighting === undefined) return 'lag-unknown'
  return ineligibilityByHistory(node, rules.primary) ?? ineligibilityByLag(node, rules)
}

/** Whether a replica may serve when all replicas lag: it answers and has the primary's data, however old. */
export function mayServeDespiteLag({ isEligible, ineligibility, sighting }: Node): boolean {
  if (isEligible || ineligibility === 'lagging') return true
  // Without positions (another `lagSource`), a replica of unknown lag serves nobody.
  return ineligibility === 'lag-unknown' && sighting?.position !== undefined
}

/** Whether only its lag, known or unknown, keeps a replica from reads. */
export function isUnfitByLag({ ineligibility }: Node): boolean {
  return ineligibility === 'lag-unknown' || ineligibility === 'lagging'
}

/** The replica that lags least of those that answer, however much it lags. */
export function leastLagging<N extends Node>(
  replicas: readonly N[],
  tried: ReadonlySet<Node> | undefined,
): N | undefined {
  let best: N | undefined
  for (const node of replicas) {
    if (!mayServeDespiteLag(node) || node.weight === 0 || tried?.has(node)) continue
    if (best === undefined || lagsLess(node, best)) best = node
  }
  return best
}

/** Whether `a` lags less than `b`. If neither lag is known, the one that has replayed more wins. */
function lagsLess(a: Node, b: Node): boolean {
  if (a.lagMs !== undefined || b.lagMs !== undefined) {
    return (a.lagMs ?? Number.POSITIVE_INFINITY) < (b.lagMs ?? Number.POSITIVE_INFINITY)
  }
  return (a.sighting?.position ?? 0n) > (b.sighting?.position ?? 0n)
}

/** Whether a replica has the primary's data, however old, as far as is known. */
export function hasDataOfPrimary({ ineligibility }: Node): boolean {
  return ineligibility === undefined || !HAS_OTHER_DATA.has(ineligibility)
}

const HAS_OTHER_DATA: ReadonlySet<Ineligibility> = new Set<Ineligibility>([
  'not-in-recovery',
  'other-cluster',
  'other-database',
  'diverged',
  'newer-timeline',
])

/** Why the data of a node is not, or may not be, that of the primary: another cluster, database or timeline. */
function ineligibilityByHistory(node: Node, primary: Node): Ineligibility | undefined {
  const { sighting } = node
  if (sighting === undefined) return 'unknown'
  const its = primary.sighting
  // Another server that takes writes, such as a promoted replica. The primary itself under another name is fine.
  if (!sighting.isInRecovery && !isSameServer(node, primary)) return 'not-in-recovery'
  const isBalanced = node.loadBalanced || primary.loadBalanced
  if (!isBalanced && differ(sighting.systemId, its?.systemId)) return 'other-cluster'
  if (!areOfOneDatabase(node, primary)) return 'other-database'
  if (!sighting.isInRecovery || its === undefined || isBalanced) return undefined
  const areKnown = !its.isInRecovery && sighting.timeline !== undefined && its.timeline !== undefined
  const ahead = areKnown ? (sighting.timeline ?? 0) - (its.timeline ?? 0) : 0
  // On a newer timeline, its position only looks like one of the primary's. While the primary is down, the replica may
  // serve: its timeline may be that of the next primary, which is soon seen.
  if (ahead > 0 && primary.isUp) return 'newer-timeline'
  if (node.divergedSince !== undefined) return 'diverged'
  return ahead < 0 ? 'old-timeline' : undefined
}

function ineligibilityByLag(
  { sighting, lagMs, lagBytes, maxLagMs, knownUntilMs }: Node,
  { primary, maxLagBytes, nowMs, isNoneEligible }: EligibilityRules,
): Ineligibility | undefined {
  if (nowMs > knownUntilMs) return 'lag-unknown'
  if (sighting?.isInRecovery === false) return undefined
  if (lagMs === undefined) {
    // A replica of unknown lag serves if the primary can neither serve nor tell its position: no other node could
    // serve.
    return isNoneEligible && sighting?.position !== undefined && isNoHelp(primary) ? undefined : 'lag-unknown'
  }
  if (lagMs > maxLagMs) return 'lagging'
  if (maxLagBytes !== undefined && (lagBytes ?? 0) > maxLagBytes) return 'lagging'
  return undefined
}

/**
 * Whether the primary is no help: it is gone, in recovery or not watched. Then it is unknown how far it has written,
 * or whether it can serve.
 */
function isNoHelp({ health, sighting, canServeNobody }: Node): boolean {
  return canServeNobody || health === 'unwatched' || sighting?.isInRecovery === true
}

/** Whether two nodes are one server, such as a "replica" that has the primary's address in local development. */
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

/**
 * Why a replica serves no reads, as a sentence without its full stop: `'replica-1' is down (connect ECONNREFUSED …)`.
 */
export function whyIneligible(node: Node, maxLagBytes: number | undefined): string {
  return `'${node.name}' ${WORDS[node.ineligibility ?? 'unknown'](node, maxLagBytes)}`
}

const WORDS: Record<Ineligibility, (node: Node, maxLagBytes: number | undefined) => string> = {
  unknown: () => 'has not answered yet',
  down: ({ downBecause = 'it does not answer' }) => `is down (${downBecause})`,
  drained: ({ name }) => `is drained (until \`resume('${name}')\`)`,
  lagging: howFarBehind,
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

function howFarBehind({ lagMs = 0, maxLagMs, lagBytes }: Node, maxLagBytes: number | undefined): string {
  return lagMs > maxLagMs
    ? `is ${Math.round(lagMs)} ms late, and \`maxLagMs\` is ${maxLagMs}`
    : `is ${lagBytes} bytes behind, and \`maxLagBytes\` is ${maxLagBytes}`
}
