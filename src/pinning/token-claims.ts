import { addPart, MAX_CLUSTERS } from '../freshness/merge-pins.ts'
import { type ClusterPin, type ExactPin, MAX_CLUSTER_KEY_LENGTH } from '../freshness/pin.ts'
import { isPosition, type Position } from '../freshness/position.ts'

/** The parts of a pin, as the text of a token has them. */
export interface Claims {
  readonly primaryUntilMs: number
  readonly clusters: ReadonlyMap<string, ClusterPin>
  readonly writtenUntilMs: number | undefined
}

/**
 * Writes the parts of a pin as claims. Times are in ms, base 36. The numbers of a position are in hex.
 *
 * - `t<until>`: every cluster is read from its primary.
 * - `c<until>~<key>`: this cluster is read from its primary.
 * - `e<until>~<position>~<timeline>~<system identifier>~<key>`: this cluster is read from any node that has
 *   replayed that position.
 * - `c<until>~!w<last until>`: until `<until>`, the pin still holds a part that a write put there. After that, all
 *   parts are of reads.
 *
 * The last claim looks like that of a cluster. So a process of an older version can read it, and takes the whole pin
 * for that of a write. That process may merge the pin with a later write, or cut all of it short, and leave this
 * claim as it is. The pin then ends at another time than `<last until>`, and the claim is void.
 */
export function writeClaims(pin: ExactPin): string {
  const claims: string[] = []
  if (pin.primaryUntilMs > 0) claims.push(`t${pin.primaryUntilMs.toString(36)}`)
  for (const [key, { primaryUntilMs, exact }] of pin.clusters) {
    if (primaryUntilMs > 0) claims.push(`c${primaryUntilMs.toString(36)}~${key}`)
    if (exact === undefined) continue
    const { systemId, timeline, lsn } = exact.position
    const numbers = [lsn, timeline, BigInt(systemId)].map((each) => each.toString(16))
    claims.push([`e${exact.untilMs.toString(36)}`, ...numbers, key].join('~'))
  }
  if (pin.writtenUntilMs !== undefined) {
    claims.push(`c${Math.max(1, pin.writtenUntilMs).toString(36)}~${WRITTEN}${pin.untilMs.toString(36)}`)
  }
  return claims.join('.')
}

/** Reads claims; undefined if they are malformed. */
export function readClaims(texts: readonly string[]): Claims | undefined {
  if (texts.length === 0 || texts.length > MAX_CLAIMS + 1) return undefined
  let primaryUntilMs = 0
  let lastUntilMs = 0
  let written: { readonly untilMs: number; readonly lastUntilMs: number } | undefined
  const clusters = new Map<string, ClusterPin>()
  for (const text of texts) {
    const match = CLAIM.exec(text)
    if (match === null) return undefined
    const [, forAll, forOne, keyOfOne, exactly, lsn, timeline, systemId, keyOfExact] = match
    const untilMs = Number.parseInt(forAll ?? forOne ?? (exactly as string), 36)
    if (keyOfOne?.startsWith(WRITTEN) === true && keyOfOne.length < MAX_CLUSTER_KEY_LENGTH) {
      written = { untilMs, lastUntilMs: Number.parseInt(keyOfOne.slice(WRITTEN.length), 36) }
      continue
    }
    lastUntilMs = Math.max(lastUntilMs, untilMs)
    if (forAll !== undefined) primaryUntilMs = Math.max(primaryUntilMs, untilMs)
    else if (keyOfOne !== undefined) {
      addPart(clusters, keyOfOne, { primaryUntilMs: untilMs, exact: undefined })
    } else {
      const position = positionOf(lsn as string, timeline as string, systemId as string)
      if (position === undefined) return undefined
      addPart(clusters, keyOfExact as string, { primaryUntilMs: 0, exact: { position, untilMs } })
    }
  }
  if (texts.length - (written === undefined ? 0 : 1) > MAX_CLAIMS) return undefined
  const writtenUntilMs = written?.lastUntilMs === lastUntilMs ? written.untilMs : undefined
  return { primaryUntilMs, clusters, writtenUntilMs }
}

/**
 * Each cluster has at most two claims, and one claim is for all clusters. The claim about writes (`!w`) is not
 * counted here.
 */
const MAX_CLAIMS = 2 * MAX_CLUSTERS + 1

/**
 * The key in the claim about writes. No cluster has a key like it: one that begins with `!` is a digest, which is
 * longer.
 */
const WRITTEN = '!w'

const UNTIL = '([0-9a-z]{1,11})'
const HEX_64 = '([0-9a-f]{1,16})'
const CLUSTER_KEY = '(!?[\\w-]{1,16})'
const CLAIM = new RegExp(
  `^(?:t${UNTIL}|c${UNTIL}~${CLUSTER_KEY}|e${UNTIL}~${HEX_64}~([0-9a-f]{1,8})~${HEX_64}~${CLUSTER_KEY})$`,
)

function positionOf(lsn: string, timeline: string, systemId: string): Position | undefined {
  const position = {
    systemId: BigInt(`0x${systemId}`).toString(),
    timeline: Number.parseInt(timeline, 16),
    lsn: BigInt(`0x${lsn}`),
  }
  return isPosition(position) ? position : undefined
}
