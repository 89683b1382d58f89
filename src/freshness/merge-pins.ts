import { type ClusterPin, type Pin, writtenUntilOf } from './pin.ts'
import { haveSameHistory, type Position } from './position.ts'

/**
 * Gives the pin that demands everything that either pin demands: the later time, and the further position. Undefined
 * if both are. A `PinStore` of your own needs it to raise an account's pin.
 *
 * @example
 * pins.set(account, mergePins(pins.get(account), pin))
 */
export function mergePins(a: Pin | undefined, b: Pin): Pin
export function mergePins(a: Pin | undefined, b: Pin | undefined): Pin | undefined
export function mergePins(a: Pin | undefined, b: Pin | undefined): Pin | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const clusters = new Map(a.kind === 'exact' ? a.clusters : undefined)
  if (b.kind === 'exact') for (const [key, part] of b.clusters) addPart(clusters, key, part)
  const writtenUntilMs = Math.max(writtenUntilOf(a), writtenUntilOf(b))
  return pinOfParts(Math.max(primaryUntilOf(a), primaryUntilOf(b)), clusters, 0, writtenUntilMs)
}

/** Merges the part of one cluster into the parts of others. */
export function addPart(clusters: Map<string, ClusterPin>, key: string, part: ClusterPin): void {
  const other = clusters.get(key)
  clusters.set(key, other === undefined ? part : mergeParts(other, part))
}

/** Merges two parts of the same cluster. */
export function mergeParts(a: ClusterPin, b: ClusterPin): ClusterPin {
  const primaryUntilMs = Math.max(a.primaryUntilMs, b.primaryUntilMs)
  if (a.exact === undefined || b.exact === undefined) return { primaryUntilMs, exact: a.exact ?? b.exact }
  const [older, newer] = isNewer(a.exact, b.exact) ? [b.exact, a.exact] : [a.exact, b.exact]
  if (!haveSameHistory(older.position, newer.position)) {
    // A position from before a failover, or of another system, cannot be compared. Until it expires, only the primary
    // will do.
    return { primaryUntilMs: Math.max(primaryUntilMs, older.untilMs), exact: newer }
  }
  const { position } = newer
  return { primaryUntilMs, exact: { position, untilMs: Math.max(older.untilMs, newer.untilMs) } }
}

/**
 * Builds a pin from parts. Drops what has expired by `nowMs`, and what other parts demand anyway. Undefined if nothing
 * is left.
 */
export function pinOfParts(
  primaryUntilMs: number,
  parts: ReadonlyMap<string, ClusterPin>,
  nowMs = 0,
  writtenUntilMs = Number.POSITIVE_INFINITY,
): Pin | undefined {
  const clusters = new Map<string, ClusterPin>()
  let untilMs = primaryUntilMs > nowMs ? primaryUntilMs : 0
  for (const [key, part] of parts) {
    const onPrimary = part.primaryUntilMs > Math.max(primaryUntilMs, nowMs) ? part.primaryUntilMs : 0
    const isExact =
      part.exact !== undefined && part.exact.untilMs > Math.max(primaryUntilMs, onPrimary, nowMs)
    if (onPrimary === 0 && !isExact) continue
    clusters.set(key, { primaryUntilMs: onPrimary, exact: isExact ? part.exact : undefined })
    untilMs = Math.max(untilMs, onPrimary, isExact ? (part.exact?.untilMs ?? 0) : 0)
  }
  if (untilMs === 0) return undefined
  if (clusters.size === 0 || clusters.size > MAX_CLUSTERS) return { kind: 'time', untilMs }
  return {
    kind: 'exact',
    untilMs,
    primaryUntilMs: primaryUntilMs > nowMs ? primaryUntilMs : 0,
    clusters,
    ...(writtenUntilMs < untilMs && { writtenUntilMs: writtenUntilMs > nowMs ? writtenUntilMs : 0 }),
  }
}

/** How many clusters a pin can hold. A pin of more clusters becomes a time pin. */
export const MAX_CLUSTERS = 8

/** The part of a pin that has not expired; undefined if all of it has. */
export function livePin(pin: Pin | undefined, nowMs: number): Pin | undefined {
  if (pin === undefined || pin.untilMs <= nowMs) return undefined
  return pin.kind === 'time' ? pin : pinOfParts(pin.primaryUntilMs, pin.clusters, nowMs, pin.writtenUntilMs)
}

/** The same pin, but all of it expires at `untilMs`. */
export function pinUntil(pin: Pin, untilMs: number): Pin {
  return withTimes(pin, () => untilMs)
}

/** The same pin, but all of it expires at `untilMs` at the latest. */
export function pinAtMostUntil(pin: Pin, untilMs: number): Pin {
  return pin.untilMs <= untilMs ? pin : withTimes(pin, (own) => Math.min(own, untilMs))
}

function withTimes(pin: Pin, timeOf: (ownMs: number) => number): Pin {
  if (pin.kind === 'time') return { kind: 'time', untilMs: timeOf(pin.untilMs) }
  const clusters = new Map<string, ClusterPin>()
  for (const [key, { primaryUntilMs, exact }] of pin.clusters) {
    clusters.set(key, {
      primaryUntilMs: primaryUntilMs === 0 ? 0 : timeOf(primaryUntilMs),
      exact: exact && { position: exact.position, untilMs: timeOf(exact.untilMs) },
    })
  }
  const writtenUntilMs = pin.writtenUntilMs && timeOf(pin.writtenUntilMs)
  return pinOfParts(
    pin.primaryUntilMs === 0 ? 0 : timeOf(pin.primaryUntilMs),
    clusters,
    0,
    writtenUntilMs,
  ) as Pin
}

function primaryUntilOf(pin: Pin): number {
  return pin.kind === 'time' ? pin.untilMs : pin.primaryUntilMs
}

type Exact = { readonly position: Position; readonly untilMs: number }

/**
 * Whether `a` is further than `b`. If their positions cannot be compared, the one on the later timeline is further,
 * or, for different systems, the one that expires later.
 */
function isNewer(a: Exact, b: Exact): boolean {
  if (a.position.systemId !== b.position.systemId) return a.untilMs > b.untilMs
  if (a.position.timeline !== b.position.timeline) return a.position.timeline > b.position.timeline
  return a.position.lsn > b.position.lsn
}
