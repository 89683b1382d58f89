import type { Lsn } from '../lsn.ts'

/** A server's answer about how far it has replayed. */
export interface ReplayedAnswer {
  readonly lsn: Lsn
  /** When it was asked, by `performance.now()`: the answer is no older than that. */
  readonly askedAtMs: number
  /** When its server was started; undefined where that was not asked. */
  readonly startedAt: string | undefined
}

/**
 * How far a server is known to have replayed. That only grows, as long as the server does not crash: a position that was asked for
 * later and is lower means that it did. Recovery in place keeps the start time, and a pooler keeps the connection, so that
 * there may be no other sign.
 */
export class Replayed {
  #known: (ReplayedAnswer & { readonly answeredAtMs: number }) | undefined

  /** The furthest position that is known; undefined for none. */
  get lsn(): Lsn | undefined {
    return this.#known?.lsn
  }

  /** Takes an answer, which may be older than what is known by now. */
  saw(answer: ReplayedAnswer, answeredAtMs: number = performance.now()): void {
    if (this.#isNews(answer)) this.#known = { ...answer, answeredAtMs }
  }

  /** What was known says nothing any more: the server may have crashed, or has another history. */
  forget(): void {
    this.#known = undefined
  }

  #isNews({ lsn, askedAtMs, startedAt }: ReplayedAnswer): boolean {
    const known = this.#known
    if (known === undefined) return true
    // Of two questions that were under way at once, nobody knows which was answered first.
    if (lsn > known.lsn) return askedAtMs >= known.askedAtMs
    if (startedAt !== undefined && known.startedAt !== undefined && startedAt !== known.startedAt) {
      return askedAtMs >= known.askedAtMs
    }
    return lsn < known.lsn && askedAtMs >= known.answeredAtMs
  }
}
