/**
 * The candidate that a key belongs to: the one with the highest score for it. Where a candidate is added or lost, only the
 * keys move that are its own; a candidate of twice the weight has twice the keys
 * (https://www.ietf.org/archive/id/draft-ietf-bess-weighted-hrw-00.html).
 */
export function rendezvous<Candidate extends { readonly name: string; readonly weight: number }>(
  candidates: readonly Candidate[],
  key: string,
): Candidate | undefined {
  let best: Candidate | undefined
  let highest = Number.NEGATIVE_INFINITY
  for (const candidate of candidates) {
    const score = -candidate.weight / Math.log(share(`${candidate.name}\0${key}`))
    if (score <= highest) continue
    best = candidate
    highest = score
  }
  return best
}

/** A number between 0 and 1, both excluded, that is the text's own: FNV-1a, mixed as MurmurHash3 ends. */
function share(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return ((hash >>> 0) + 0.5) / 2 ** 32
}
