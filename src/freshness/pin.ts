import { createHash } from 'node:crypto'
import type { RouteReason } from '../diagnostics.ts'
import type { Position } from './position.ts'
import { PINNED, PINNED_BY_READS, type Requirement } from './requirement.ts'

/** What is carried from a write to the reads after it: until when, and from which position on, they must be fresh. */
export type Pin = TimePin | ExactPin

/**
 * A time pin: every cluster is read from its primary until `untilMs`, in ms since the epoch, by the clock of the
 * process that set the pin.
 */
export interface TimePin {
  readonly kind: 'time'
  readonly untilMs: number
}

/** An exact pin: each cluster that was written to has a part of its own. */
export interface ExactPin {
  readonly kind: 'exact'
  /** When its last part expires, in ms since the epoch. */
  readonly untilMs: number
  /**
   * Until when every cluster is read from its primary because of a write that no router saw, in ms since the epoch; 0
   * for not at all.
   */
  readonly primaryUntilMs: number
  /**
   * Until when the pin still holds something that a write put there, in ms since the epoch. Default: `untilMs`. After
   * that, it only holds what reads have seen: if the primary is down, a replica that has replayed that far will do.
   */
  readonly writtenUntilMs?: number
  /** The part of each cluster, by the cluster's key; see {@link clusterKey}. */
  readonly clusters: ReadonlyMap<string, ClusterPin>
}

/** The part of one cluster in a pin. */
export interface ClusterPin {
  /**
   * Until when the cluster is read from its primary because a position could not be read, in ms since the epoch; 0 for
   * not at all.
   */
  readonly primaryUntilMs: number
  /** The position that a node must have replayed to serve a read, until `untilMs`; undefined for none. */
  readonly exact: { readonly position: Position; readonly untilMs: number } | undefined
}

/** What a pin demands of a read in `cluster`; undefined if it demands nothing, or nothing any more. */
export function requirementOfPin(pin: Pin, cluster: string, nowMs: number): Requirement | undefined {
  if (pin.untilMs <= nowMs) return undefined
  if (pin.kind === 'time' || pin.primaryUntilMs > nowMs) return PINNED
  const part = pin.clusters.get(clusterKey(cluster))
  return part === undefined ? undefined : requirementOfPart(part, nowMs, 'pin', writtenUntilOf(pin) <= nowMs)
}

/** The position that a pin names for `cluster`; undefined if it names none, or none any more. */
export function positionOfPin(pin: Pin, cluster: string, nowMs: number): Position | undefined {
  const exact = pin.kind === 'exact' ? pin.clusters.get(clusterKey(cluster))?.exact : undefined
  return exact !== undefined && exact.untilMs > nowMs ? exact.position : undefined
}

/** Until when a pin still holds something that a write put there, in ms since the epoch. */
export function writtenUntilOf(pin: Pin): number {
  return pin.kind === 'time' ? pin.untilMs : (pin.writtenUntilMs ?? pin.untilMs)
}

/**
 * What the part of one cluster demands of a read. With `comesFromReads`, no write put anything there: all of it comes
 * from reads.
 */
export function requirementOfPart(
  { primaryUntilMs, exact }: ClusterPin,
  nowMs: number,
  reason: RouteReason,
  comesFromReads: boolean,
): Requirement | undefined {
  if (primaryUntilMs > nowMs) return comesFromReads ? PINNED_BY_READS : PINNED
  if (exact === undefined || exact.untilMs <= nowMs) return undefined
  return { kind: 'atLeast', position: exact.position, reason, comesFromReads }
}

/**
 * The key of a cluster's part in a pin: its name, or a digest of a name that is long or cannot stand in a cookie.
 */
export function clusterKey(cluster: string): string {
  return SHORT_NAME.test(cluster) ? cluster : digestOf(cluster)
}

/** Whether a value may be the key of a cluster. */
export function isClusterKey(text: unknown): boolean {
  return typeof text === 'string' && CLUSTER_KEY.test(text)
}

/** How long a key is at most, in characters. */
export const MAX_CLUSTER_KEY_LENGTH = 16

const CLUSTER_KEY = /^!?[\w-]{1,16}$/

const SHORT_NAME = /^[\w-]{1,16}$/

function digestOf(name: string): string {
  let key = digests.get(name)
  if (key === undefined) {
    if (digests.size === MAX_DIGESTS) digests.clear()
    key = `!${createHash('sha256')
      .update(name)
      .digest('base64url')
      .slice(0, MAX_CLUSTER_KEY_LENGTH - 1)}`
    digests.set(name, key)
  }
  return key
}

const digests = new Map<string, string>()
const MAX_DIGESTS = 100
