import type { Position } from '../freshness/position.ts'
import { areOfOneDatabase } from './eligibility.ts'
import type { Node } from './node.ts'
import { waitAtMost } from './running-time.ts'

/** The pause after all nodes were looked at, in ms. Each look that finds nothing doubles it. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 60_000

/**
 * The node that is the primary, by what was seen: the one that takes writes, on the newest timeline. Each promotion
 * forks a timeline. So an old primary that comes back has an older one, and a server that was never promoted is on the
 * first (https://www.postgresql.org/docs/current/continuous-archiving.html, "Timelines"). In doubt the current primary
 * stays.
 *
 * `systemId` is the system identifier of the configured primary when it was first seen, if it ever was. A node of
 * another cluster cannot be the primary of this one. If it was taken for the primary before that was known, it loses
 * that role.
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

/** Whether `node`, which takes writes, is preferred to `than`, which may never have been seen, or not lately. */
function isNewer(node: Node, than: Node): boolean {
  const [newer, older] = [node.sighting?.timeline, than.sighting?.timeline]
  if (newer === undefined) return false
  // `than` was never seen. Only a promoted server can have taken its place, and its timeline is above 1.
  if (older === undefined || than.sighting === undefined) return newer > 1
  if (newer !== older) return newer > older
  // A demoted server reports the timeline that it follows now, which is that of the new primary.
  return than.sighting.isInRecovery
}

/** The system identifier to elect by: the primary's or, if that was never seen, that of the first node that was. */
function systemIdOf(current: Node, others: readonly Node[]): string | undefined {
  const seen = [current, ...others].find((node) => node.sighting?.systemId !== undefined)
  return seen?.sighting?.systemId
}

/** The nodes, and a way to look at one. */
interface Looked {
  readonly primary: Node
  readonly nodes: readonly Node[]
  /** Looks at a node; resolves at the verdict. */
  look(node: Node): Promise<void>
}

/**
 * Looks at all nodes when a position is on a newer timeline than the primary's. Such a position proves that another
 * server was promoted and that this process has not noticed it yet. All who ask during a look share it.
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

  /**
   * Gives a function that looks for the primary of a position. Undefined if the position is on no newer timeline, or
   * if such a look was just made.
   */
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
    // A node that does not answer says nothing.
    await waitAtMost(looks, this.#timeoutMs)
  }
}
