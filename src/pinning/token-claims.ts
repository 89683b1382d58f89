import { addPart, MAX_CLUSTERS } from '../freshness/merge-pins.ts'
import { type ClusterPin, type ExactPin, MAX_PLACE_LENGTH } from '../freshness/pin.ts'
import { isPosition, type Position } from '../freshness/position.ts'

/** What a token claims, before anybody knows whether it is believed. */
export interface Claims {
  readonly primaryUntilMs: number
  readonly clusters: ReadonlyMap<string, ClusterPin>
  readonly writtenUntilMs: number | undefined
}

/**
 * Writes the parts of a pin, each of them as one of these; times in ms, base 36, the numbers of a position in hex:
 *
 * - `t<until>`: every cluster is read from its primary;
 * - `c<until>~<place>`: this cluster is;
 * - `e<until>~<position>~<timeline>~<system identifier>~<place>`: this cluster is read from whoever has replayed as much;
 * - `c<until>~!w<last until>`: until then some of it is because of a write, and from then on it is what was seen. It has the form of a
 *   cluster's, so that a process that does not know it takes all of it for written. It holds only for a pin that ends then: such a
 *   process hands it on together with what was written there, which ends later, or cuts it short with all the rest.
 */
export function writeClaims(pin: ExactPin): string {
  const claims: string[] = []
  if (pin.primaryUntilMs > 0) claims.push(`t${pin.primaryUntilMs.toString(36)}`)
  for (const [place, { primaryUntilMs, exact }] of pin.clusters) {
    if (primaryUntilMs > 0) claims.push(`c${primaryUntilMs.toString(36)}~${place}`)
    if (exact === undefined) continue
    const { systemId, timeline, lsn } = exact.position
    const numbers = [lsn, timeline, BigInt(systemId)].map((each) => each.toString(16))
    claims.push([`e${exact.untilMs.toString(36)}`, ...numbers, place].join('~'))
  }
  if (pin.writtenUntilMs !== undefined) {
    claims.push(`c${Math.max(1, pin.writtenUntilMs).toString(36)}~${WRITTEN}${pin.untilMs.toString(36)}`)
  }
  return claims.join('.')
}

/** Reads them; undefined where they are malformed. */
export function readClaims(texts: readonly string[]): Claims | undefined {
  if (texts.length === 0 || texts.length > MAX_CLAIMS + 1) return undefined
  let primaryUntilMs = 0
  let lastUntilMs = 0
  let written: { readonly untilMs: number; readonly lastUntilMs: number } | undefined
  const clusters = new Map<string, ClusterPin>()
  for (const text of texts) {
    const match = CLAIM.exec(text)
    if (match === null) return undefined
    const [, forAll, forOne, placeOfOne, exactly, lsn, timeline, systemId, placeOfExact] = match
    const untilMs = Number.parseInt(forAll ?? forOne ?? (exactly as string), 36)
    if (placeOfOne?.startsWith(WRITTEN) === true && placeOfOne.length < MAX_PLACE_LENGTH) {
      written = { untilMs, lastUntilMs: Number.parseInt(placeOfOne.slice(WRITTEN.length), 36) }
      continue
    }
    lastUntilMs = Math.max(lastUntilMs, untilMs)
    if (forAll !== undefined) primaryUntilMs = Math.max(primaryUntilMs, untilMs)
    else if (placeOfOne !== undefined) {
      addPart(clusters, placeOfOne, { primaryUntilMs: untilMs, exact: undefined })
    } else {
      const position = positionOf(lsn as string, timeline as string, systemId as string)
      if (position === undefined) return undefined
      addPart(clusters, placeOfExact as string, { primaryUntilMs: 0, exact: { position, untilMs } })
    }
  }
  if (texts.length - (written === undefined ? 0 : 1) > MAX_CLAIMS) return undefined
  const writtenUntilMs = written?.lastUntilMs === lastUntilMs ? written.untilMs : undefined
  return { primaryUntilMs, clusters, writtenUntilMs }
}

/** Each cluster has two at most, and one is for all of them; beside these there is the one that speaks of writes. */
const MAX_CLAIMS = 2 * MAX_CLUSTERS + 1

/** No cluster's place begins like this and is as short: a digest is longer. */
const WRITTEN = '!w'

const UNTIL = '([0-9a-z]{1,11})'
const HEX_64 = '([0-9a-f]{1,16})'
const PLACE = '(!?[\\w-]{1,16})'
const CLAIM = new RegExp(
  `^(?:t${UNTIL}|c${UNTIL}~${PLACE}|e${UNTIL}~${HEX_64}~([0-9a-f]{1,8})~${HEX_64}~${PLACE})$`,
)

function positionOf(lsn: string, timeline: string, systemId: string): Position | undefined {
  const position = {
    systemId: BigInt(`0x${systemId}`).toString(),
    timeline: Number.parseInt(timeline, 16),
    lsn: BigInt(`0x${lsn}`),
  }
  return isPosition(position) ? position : undefined
}
