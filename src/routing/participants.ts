import type { RequestMemory } from '../freshness/memory.ts'

/**
 * What the statements of one request in a transaction count as.
 *
 * - `'wrote'`: a write for sure
 * - `'in-doubt'`: a write, unless the server says that the transaction has written nothing
 * - `'read'`: no write, unless the server says that the transaction has written
 */
export type Participation = 'wrote' | 'in-doubt' | 'read'

/** What is known of the participants once the transaction is committed. */
export interface Verdict {
  /** Those that have written; undefined stands for statements outside any request. */
  readonly wrote: ReadonlySet<RequestMemory | undefined>
  /** Those whose statements may have written, but do not count. */
  readonly uncounted: ReadonlySet<RequestMemory>
  /** Whether the transaction has written although a current catalog vouches for every statement in it. */
  readonly isUnexpected: boolean
}

/**
 * The requests whose statements took part in a transaction. If the server says that the transaction has written (it has
 * a transaction id then), this says for which of them that counts as a write.
 */
export class Participants {
  readonly #participations = new Map<RequestMemory | undefined, Participation>()
  readonly #uncounted = new Set<RequestMemory>()
  /** Whether something in it is a write for sure. Then the server need not be asked. */
  #isSure = false
  /** Whether the transaction may have a transaction id without a write that counts. Then the id proves nothing. */
  #ignoresId = false
  #isVouched = true

  /**
   * Whether to ask the server, with the COMMIT, if the transaction wrote: only if that is open, a request depends on
   * it, and the answer would decide it.
   */
  get isInQuestion(): boolean {
    if (this.#isSure || this.#participations.size === 0) return false
    return !this.#ignoresId || this.#hasDoubt
  }

  /**
   * A statement ran in the transaction; `memory` is undefined outside any request. If it is vouched for, the catalog
   * says that it only reads.
   */
  add(memory: RequestMemory | undefined, participation: Participation, isVouched: boolean): void {
    if (!isVouched) this.#isVouched = false
    if (participation === 'wrote') this.#isSure = true
    // A read outside any request pins nobody.
    if (memory === undefined && participation !== 'in-doubt') return
    const before = this.#participations.get(memory)
    if (before === undefined || RANKS[participation] > RANKS[before])
      this.#participations.set(memory, participation)
  }

  /** A statement that does not count may have given the transaction an id, so the id proves nothing. */
  ignoreId(): void {
    this.#ignoresId = true
  }

  /** A statement may have written, but does not count. */
  addUncounted(memory: RequestMemory): void {
    this.#uncounted.add(memory)
  }

  /** The requests that wrote, or may have. If the transaction is not committed, these were attempts to write. */
  *attempts(): Generator<RequestMemory> {
    for (const [memory, participation] of this.#participations)
      if (memory !== undefined && participation !== 'read') yield memory
  }

  /**
   * Says who has written, now that the transaction is committed. `hasWritten` is the server's answer, if it was asked.
   */
  decide(hasWritten: boolean | undefined): Verdict {
    const provesWrite = hasWritten === true && !this.#ignoresId && !this.#isSure
    const wrote = new Set<RequestMemory | undefined>()
    for (const [memory, participation] of this.#participations) {
      if (participation === 'wrote' || provesWrite || (participation === 'in-doubt' && hasWritten !== false))
        wrote.add(memory)
    }
    const uncounted = new Set([...this.#uncounted].filter((memory) => !wrote.has(memory)))
    return { wrote, uncounted, isUnexpected: provesWrite && this.#isVouched }
  }

  get #hasDoubt(): boolean {
    for (const participation of this.#participations.values()) if (participation === 'in-doubt') return true
    return false
  }
}

const RANKS: Readonly<Record<Participation, number>> = { read: 0, 'in-doubt': 1, wrote: 2 }
