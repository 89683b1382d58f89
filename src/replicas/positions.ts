import type { Lsn } from '../lsn.ts'

/** How many samples are kept; beyond, older ones are thinned out. */
const MAX_SAMPLES = 1_000

interface Sample {
  readonly atMs: number
  readonly lsn: Lsn
}

/**
 * The primary's position over time. A replica's lag is the age of the oldest of them that it has not replayed: right on an
 * idle primary and for a replica that is cut off, and without a common clock.
 */
export class PrimaryPositions {
  #samples: Sample[] = []
  #last: Sample | undefined

  /** Adds a sample; a position that has not moved says nothing new. */
  add(atMs: number, lsn: Lsn): void {
    if (this.#last !== undefined && lsn === this.#last.lsn) return
    // One server's never goes back: the primary's address leads to another one now, which may never reach these.
    if (this.#last !== undefined && lsn < this.#last.lsn) this.clear()
    this.#last = { atMs, lsn }
    this.#samples.push(this.#last)
    if (this.#samples.length > MAX_SAMPLES) this.#thinOut()
  }

  /** The newest position that was seen. */
  get newest(): Lsn | undefined {
    return this.#last?.lsn
  }

  /** How late a server that had replayed up to `lsn` at `atMs` was then, in ms. */
  lagMs(lsn: Lsn, atMs: number): number {
    for (const sample of this.#samples) {
      if (sample.atMs > atMs) return 0
      if (sample.lsn > lsn) return atMs - sample.atMs
    }
    return 0
  }

  /** How many bytes of WAL it had not replayed. */
  lagBytes(lsn: Lsn, atMs: number): number {
    const before = this.#samples.findLast((sample) => sample.atMs <= atMs)
    return before === undefined || before.lsn <= lsn ? 0 : Number(before.lsn - lsn)
  }

  /** Begins anew: another server is the primary. */
  clear(): void {
    this.#samples = []
    this.#last = undefined
  }

  /** The older samples are, the fewer of them are needed for a lag that is right by a fiftieth. */
  #thinOut(): void {
    const newestMs = this.#last?.atMs ?? 0
    const kept: Sample[] = []
    for (const sample of this.#samples.toReversed()) {
      const later = kept.at(-1)
      if (later === undefined || later.atMs - sample.atMs >= (newestMs - later.atMs) / 50) kept.push(sample)
    }
    this.#samples = kept.reverse()
  }
}
