import { isStillFresh, type RequestMemory } from '../freshness/memory.ts'
import { livePin, mergePins, pinOfParts, pinUntil } from '../freshness/merge-pins.ts'
import { type ClusterPin, clusterKey, type Pin } from '../freshness/pin.ts'
import { haveSameHistory } from '../freshness/position.ts'
import { highestCommitted, writtenPosition } from '../freshness/written-positions.ts'

/**
 * The pin of what a request has written, as far as that is known now; undefined if it has written nothing. With
 * `isWrite`, the request counts as a write even if no router saw one. Then the pin is a time pin.
 */
export function pinOfWrites(memory: RequestMemory, untilMs: number, isWrite: boolean): Pin | undefined {
  const { wroteTo, markedWrite } = memory
  const isUnseen = markedWrite || (isWrite && wroteTo === undefined)
  if (wroteTo === undefined || !memory.wantsPositions) {
    return isUnseen || wroteTo !== undefined ? { kind: 'time', untilMs } : undefined
  }
  const clusters = new Map<string, ClusterPin>()
  for (const cluster of wroteTo) {
    const position = writtenPosition(memory.written, cluster)
    clusters.set(
      clusterKey(cluster),
      position === undefined
        ? { primaryUntilMs: untilMs, exact: undefined }
        : { primaryUntilMs: 0, exact: { position: highestCommitted(cluster, position), untilMs } },
    )
  }
  return pinOfParts(isUnseen ? untilMs : 0, clusters)
}

/** The pin of what a request's reads have seen; undefined if they have seen nothing, or if this is not wanted. */
export function pinOfReads({ seen }: RequestMemory): Pin | undefined {
  return seen === undefined ? undefined : pinOfParts(0, seen, Date.now(), 0)
}

/**
 * The pin that a response carries: what the request brought and is not over yet, what it has seen, and what it has
 * written. No part is cut short, even if another process or the account made it last longer.
 */
export function pinOfResponse(memory: RequestMemory, isWrite: boolean): Pin | undefined {
  const nowMs = Date.now()
  const read = mergePins(broughtPin(memory, nowMs), pinOfReads(memory))
  return mergePins(read, pinOfWrites(memory, nowMs + memory.pinningMs, isWrite))
}

/** The pin that a request brought, as far as it is not over yet, with the time that it claims. */
export function broughtPin(
  { carried, tooLongLived }: RequestMemory,
  nowMs: number = Date.now(),
): Pin | undefined {
  return mergePins(livePin(carried, nowMs), livePin(tooLongLived, nowMs))
}

/**
 * Whether a request's reads have seen more than the pin that it brought covers, so that its response must carry a
 * pin. A part that was brought is renewed when half of its time is over.
 */
export function hasSeenMore(memory: RequestMemory): boolean {
  if (memory.seen === undefined) return false
  const { carried } = memory
  const parts = carried?.kind === 'exact' ? carried.clusters : undefined
  const soonMs = Date.now() + memory.pinningMs / 2
  for (const [key, { exact, primaryUntilMs }] of memory.seen) {
    const before = parts?.get(key)
    // The position of at least one read is unknown, so the response must carry a time part.
    if (primaryUntilMs > Math.max(soonMs, before?.primaryUntilMs ?? 0)) return true
    if (exact === undefined) continue
    if (before?.exact === undefined || before.exact.untilMs < soonMs) return true
    const { position } = before.exact
    if (!haveSameHistory(exact.position, position) || exact.position.lsn > position.lsn) return true
  }
  return false
}

/**
 * The pin of all that a context has brought, read and written, for a job or another service; undefined if there is
 * none. With `seconds`, all parts last that long from now on.
 */
export function pinOfContext(memory: RequestMemory, seconds: number | undefined): Pin | undefined {
  const nowMs = Date.now()
  const writtenUntilMs = nowMs + memory.pinningMs
  const written = isStillFresh(memory) ? pinOfWrites(memory, writtenUntilMs, memory.writeRequest) : undefined
  const pin = mergePins(mergePins(broughtPin(memory, nowMs), pinOfReads(memory)), written)
  return pin === undefined || seconds === undefined ? pin : pinUntil(pin, nowMs + seconds * 1000)
}
