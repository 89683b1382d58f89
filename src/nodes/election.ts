import type { Position } from '../freshness/position.ts'
import { areOfOneDatabase } from './eligibility.ts'
import type { Node } from './node.ts'
import { waitAtMost } from './patience.ts'

/** How long all nodes are not looked at again for this reason, in ms, where that has found nothing: twice as long after each. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 60_000

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

/** The nodes, and how one is looked at. */
interface Looked {
  readonly primary: Node
  readonly nodes: readonly Node[]
  /** Has a node looked at, and resolves at the verdict. */
  look(node: Node): Promise<void>
}

/**
 * A position on a newer timeline than the primary's proves that another server was promoted, which this process has not noticed
 * yet. Then all nodes are looked at, at once and for all who ask meanwhile.
 */
export class NewerTimeline {
  readonly #set: Looked
  readonly #timeoutMs: number
  #looking: Promise<void> | undefined
  #restsUntilMs = Number.NEGATIVE_INFINITY
  #restMs = FIRST_REST_MS

  /** `timeoutMs` is how long a look may take at most. */
  constructor(set: Looked, timeoutMs: number) {
    this.#set = set
    this.#timeoutMs = timeoutMs
  }

  /** How to look for the primary of a position; undefined where it is of no newer timeline, or that was just done in vain. */
  lookFor({ systemId, timeline }: Position): (() => Promise<void>) | undefined {
    const its = this.#set.primary.sighting
    if (its?.systemId !== systemId || its.timeline === undefined || timeline <= its.timeline) return undefined
    if (this.#looking === undefined && performance.now() < this.#restsUntilMs) return undefined
    return this.#look
  }

  readonly #look = (): Promise<void> => {
    const before = this.#set.primary.sighting?.timeline
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = undefined
      const wasInVain = this.#set.primary.sighting?.timeline === before
      this.#restsUntilMs = performance.now() + this.#restMs
      this.#restMs = wasInVain ? Math.min(2 * this.#restMs, LONGEST_REST_MS) : FIRST_REST_MS
    })
    return this.#looking
  }

  async #lookAtAll(): Promise<void> {
    const looks = Promise.all(this.#set.nodes.map((node) => this.#set.look(node)))
    // Of one that does not answer nobody can tell what it is.
    await waitAtMost(looks, this.#timeoutMs)
  }
}
