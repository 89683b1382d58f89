import { createHash } from 'node:crypto'
import type { RouteReason } from '../diagnostics.ts'
import type { Position } from './position.ts'
import { PINNED, PINNED_BY_READS, type Requirement } from './requirement.ts'

/** What is carried from a write to the reads that follow it: until when, and from where on, they must be fresh. */
export type Pin = TimePin | ExactPin

/** Every cluster is read from its primary until then, in ms since the epoch, by the clock of the server that set it. */
export interface TimePin {
  readonly kind: 'time'
  readonly untilMs: number
}

/** Each cluster has its own part; one that has none was not written to. */
export interface ExactPin {
  readonly kind: 'exact'
  /** When the last of it is over. */
  readonly untilMs: number
  /** Until when every cluster is read from its primary, because of a write that no router saw; 0 for none. */
  readonly primaryUntilMs: number
  /**
   * Until when some of it is because of a write. Default: as long as it lasts. From then on it holds only what was seen: where the
   * primary is down, a replica that is as far will do.
   */
  readonly writtenUntilMs?: number
  /** What holds for each cluster, by its place; see {@link placeOf}. */
  readonly clusters: ReadonlyMap<string, ClusterPin>
}

/** The part of one cluster in a pin. */
export interface ClusterPin {
  /** Until when it is read from its primary, because a position could not be read; 0 for not at all. */
  readonly primaryUntilMs: number
  /** What any node that serves a read must have replayed; undefined for nothing. */
  readonly exact: { readonly position: Position; readonly untilMs: number } | undefined
}

/** What a pin demands of a read in `cluster`; undefined where it demands nothing (any more). */
export function requirementOfPin(pin: Pin, cluster: string, nowMs: number): Requirement | undefined {
  if (pin.untilMs <= nowMs) return undefined
  if (pin.kind === 'time' || pin.primaryUntilMs > nowMs) return PINNED
  const part = pin.clusters.get(placeOf(cluster))
  return part === undefined ? undefined : requirementOfPart(part, nowMs, 'pin', writtenUntilOf(pin) <= nowMs)
}

/** The position that a pin names for `cluster`; undefined where it names none (any more). */
export function positionOfPin(pin: Pin, cluster: string, nowMs: number): Position | undefined {
  const exact = pin.kind === 'exact' ? pin.clusters.get(placeOf(cluster))?.exact : undefined
  return exact !== undefined && exact.untilMs > nowMs ? exact.position : undefined
}

/** Until when some of a pin is because of a write. */
export function writtenUntilOf(pin: Pin): number {
  return pin.kind === 'time' ? pin.untilMs : (pin.writtenUntilMs ?? pin.untilMs)
}

/** The same for the part of one cluster; with `isSeen` none of it is because of a write. */
export function requirementOfPart(
  { primaryUntilMs, exact }: ClusterPin,
  nowMs: number,
  reason: RouteReason,
  isSeen: boolean,
): Requirement | undefined {
  if (primaryUntilMs > nowMs) return isSeen ? PINNED_BY_READS : PINNED
  if (exact === undefined || exact.untilMs <= nowMs) return undefined
  return { kind: 'atLeast', position: exact.position, reason, isSeen }
}

/**
 * Where a cluster's part is found in a pin: by its name, or, where that is long or would not go into a cookie, by a digest
 * of it.
 */
export function placeOf(cluster: string): string {
  return SHORT_NAME.test(cluster) ? cluster : digestOf(cluster)
}

/** Whether a text is the place of some cluster. */
export function isPlace(text: unknown): boolean {
  return typeof text === 'string' && PLACE.test(text)
}

/** How long a place is at most. */
export const MAX_PLACE_LENGTH = 16

const PLACE = /^!?[\w-]{1,16}$/

const SHORT_NAME = /^[\w-]{1,16}$/

function digestOf(name: string): string {
  let place = digests.get(name)
  if (place === undefined) {
    if (digests.size === MAX_DIGESTS) digests.clear()
    place = `!${createHash('sha256')
      .update(name)
      .digest('base64url')
      .slice(0, MAX_PLACE_LENGTH - 1)}`
    digests.set(name, place)
  }
  return place
}

const digests = new Map<string, string>()
const MAX_DIGESTS = 100
