import type { RequestMemory } from '../freshness/memory.ts'

/**
 * What somebody's statements in a transaction are worth: a write for sure; one unless the server says that the transaction has written
 * nothing; or none unless the server says that it has written.
 */
export type Part = 'wrote' | 'in-doubt' | 'read'

/** What is known of those who took part in a transaction, once it is committed. */
export interface Verdict {
  /** Whose part in it counts as a write; undefined for statements outside any request. */
  readonly wrote: ReadonlySet<RequestMemory | undefined>
  /** Whose statements may have written, and do not count. */
  readonly uncounted: ReadonlySet<RequestMemory>
  /** Whether it has written, although a current catalog vouches for all that was in it. */
  readonly isSurprising: boolean
}

/** Whose statements took part in a transaction, and what its id will tell of them. */
export class Participants {
  readonly #parts = new Map<RequestMemory | undefined, Part>()
  readonly #uncounted = new Set<RequestMemory>()
  /** Whether something in it is a write for sure: nobody has to ask. */
  #isSure = false
  /** Whether it may have an id for something else than a write that counts: then an id says nothing. */
  #isBlurred = false
  #isVouched = true

  /** Whether the server is to be asked whether it wrote: that is not known, somebody wants to know it, and the answer can tell. */
  get isInQuestion(): boolean {
    if (this.#isSure || this.#parts.size === 0) return false
    return !this.#isBlurred || this.#hasDoubt
  }

  /** Somebody's statement ran in it; undefined for one outside any request. A vouched one only reads, as the catalog says. */
  took(memory: RequestMemory | undefined, part: Part, isVouched: boolean): void {
    if (!isVouched) this.#isVouched = false
    if (part === 'wrote') this.#isSure = true
    // Nobody is pinned by a read outside any request.
    if (memory === undefined && part !== 'in-doubt') return
    const before = this.#parts.get(memory)
    if (before === undefined || RANKS[part] > RANKS[before]) this.#parts.set(memory, part)
  }

  /** A statement that does not count may have given it an id. */
  blur(): void {
    this.#isBlurred = true
  }

  /** Somebody's statement may have written, and does not count. */
  cover(memory: RequestMemory): void {
    this.#uncounted.add(memory)
  }

  /** Those whose part is in doubt, or sure: what they did in it is an attempt to write, where it is not committed. */
  *attempts(): Generator<RequestMemory> {
    for (const [memory, part] of this.#parts) if (memory !== undefined && part !== 'read') yield memory
  }

  /** Who has written, now that it is committed; `hasWritten` is the server's word, where it was asked. */
  judge(hasWritten: boolean | undefined): Verdict {
    const tells = hasWritten === true && !this.#isBlurred && !this.#isSure
    const wrote = new Set<RequestMemory | undefined>()
    for (const [memory, part] of this.#parts) {
      if (part === 'wrote' || tells || (part === 'in-doubt' && hasWritten !== false)) wrote.add(memory)
    }
    const uncounted = new Set([...this.#uncounted].filter((memory) => !wrote.has(memory)))
    return { wrote, uncounted, isSurprising: tells && this.#isVouched }
  }

  get #hasDoubt(): boolean {
    for (const part of this.#parts.values()) if (part === 'in-doubt') return true
    return false
  }
}

const RANKS: Readonly<Record<Part, number>> = { read: 0, 'in-doubt': 1, wrote: 2 }
