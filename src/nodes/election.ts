import { areOfOneDatabase } from './eligibility.ts'
import type { Node } from './node.ts'

/**
 * The node that is the primary, of those that were seen: the one that takes writes, on the newest timeline. A timeline is
 * forked at each promotion, so an old primary that comes back has an older one, and what was never promoted is on the first
 * (https://www.postgresql.org/docs/current/continuous-archiving.html, "Timelines"). In doubt it stays the one that it was.
 *
 * `systemId` is that of the configured primary when it was first seen, if it ever was: a node of another cluster is no primary of this one,
 * also where it was taken for one before anybody could know.
 */
export function electPrimary<N extends Node>(
  current: N,
  others: readonly N[],
  systemId: string | undefined,
): N {
  // It may just not have answered yet.
  if (current.health === 'unknown') return current
  const id = systemId ?? systemIdOf(current, others)
  let best = current
  if (systemId !== undefined && isOfOther(current, systemId)) {
    best = others.find(({ configured }) => configured === 'primary') ?? current
  }
  for (const node of others) {
    if (!takesWrites(node) || node.sighting?.systemId !== id) continue
    if (!areOfOneDatabase(node, current)) continue
    if (isNewer(node, best)) best = node
  }
  return best
}

function isOfOther({ sighting }: Node, systemId: string): boolean {
  return sighting?.systemId !== undefined && sighting.systemId !== systemId
}

function takesWrites(node: Node): boolean {
  return node.health === 'up' && node.sighting?.isInRecovery === false && !node.loadBalanced
}

/** Whether a node that takes writes is to be preferred to another, which may not have been seen, or not for long. */
function isNewer(node: Node, than: Node): boolean {
  const [newer, older] = [node.sighting?.timeline, than.sighting?.timeline]
  if (newer === undefined) return false
  // Of one that was never seen, nobody knows whether another took its place: only a promoted one can have.
  if (older === undefined || than.sighting === undefined) return newer > 1
  if (newer !== older) return newer > older
  // One that was demoted tells the timeline that it follows now: the same as that of whoever it follows.
  return than.sighting.isInRecovery
}

/** Whose data it is: the primary's, or, where it was never seen, that of the first node that was. */
function systemIdOf(current: Node, others: readonly Node[]): string | undefined {
  const seen = [current, ...others].find((node) => node.sighting?.systemId !== undefined)
  return seen?.sighting?.systemId
}
