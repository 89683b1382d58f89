import type { Position } from '../freshness/position.ts'
import type { Node } from './node.ts'
import { withPatience } from './patience.ts'

/** How long all nodes are not looked at again for this reason, in ms, where that has found nothing: twice as long after each. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 60_000

/** The nodes, and how one is looked at. */
interface Looked<N extends Node> {
  readonly primary: N
  readonly nodes: readonly N[]
  /** Has a node looked at, and resolves at the verdict. */
  look(node: N): Promise<void>
}

/**
 * A position on a newer timeline than the primary's proves that another server was promoted, which this process has not noticed
 * yet. Then all nodes are looked at, at once and for all who ask meanwhile.
 */
export class NewerTimeline<N extends Node> {
  readonly #set: Looked<N>
  readonly #timeoutMs: number
  #looking: Promise<void> | undefined
  #restsUntilMs = Number.NEGATIVE_INFINITY
  #restMs = FIRST_REST_MS

  /** `timeoutMs` is how long a look may take at most. */
  constructor(set: Looked<N>, timeoutMs: number) {
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
    await withPatience(looks, this.#timeoutMs).catch(ignore)
  }
}

function ignore(): void {}
