import { addPart, mergeParts } from './merge-pins.ts'
import {
  type ClusterPin,
  type Pin,
  placeOf,
  requirementOfPart,
  requirementOfPin,
  writtenUntilOf,
} from './pin.ts'
import { isPosition, type Position } from './position.ts'
import type { Requirement } from './requirement.ts'

/** Remembers what a read in `cluster` may have seen; where that is not known, only its primary has seen as much. */
export function addSeen(
  seen: Map<string, ClusterPin>,
  cluster: string,
  position: Position | undefined,
  untilMs: number,
): void {
  const part = isPosition(position)
    ? { primaryUntilMs: 0, exact: { position, untilMs } }
    : { primaryUntilMs: untilMs, exact: undefined }
  addPart(seen, placeOf(cluster), part)
}

/** What a read in `cluster` demands because of the pin that was carried, and of what earlier reads have seen. */
export function requirementOfCarried(
  carried: Pin | undefined,
  seen: ReadonlyMap<string, ClusterPin> | undefined,
  cluster: string,
  nowMs: number,
): Requirement | undefined {
  const ofPin = carried && requirementOfPin(carried, cluster, nowMs)
  if (seen === undefined || ofPin?.kind === 'primary') return ofPin
  const place = placeOf(cluster)
  const seenHere = seen.get(place)
  if (seenHere === undefined) return ofPin
  const part = carried?.kind === 'exact' ? carried.clusters.get(place) : undefined
  const both = part === undefined ? seenHere : mergeParts(part, seenHere)
  const isSeen = carried === undefined || writtenUntilOf(carried) <= nowMs
  return requirementOfPart(both, nowMs, ofPin?.reason ?? 'monotonic', isSeen)
}
