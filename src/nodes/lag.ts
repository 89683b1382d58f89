import type { Lsn } from '../lsn.ts'

/**
 * How lag is measured: by the positions at which this process saw the primary ({@link PrimaryPositions}), and how far
 * a replica has replayed ({@link Replayed}).
 */

/** How many samples are kept. If there are more, some of the older ones are dropped. */
const MAX_SAMPLES = 1_000

/** When a question was asked, by two clocks. */
export interface Moment {
  /** By `performance.now()`, which may stand still while the host is suspended. */
  readonly atMs: number
  /** By `Date.now()`, which goes on then, but can be set. */
  readonly atClockMs: number
}

export function momentNow(): Moment {
  return { atMs: performance.now(), atClockMs: Date.now() }
}

/** How long the primary's position may go unseen. */
export interface SightingIntervals {
  /** The longest time between two sightings while nothing is wrong, in ms. */
  readonly sightingMs: number
  /** The longest time after a sighting until the next one, or until the verdict that the primary is down, in ms. */
  readonly verdictMs: number
}

interface Sample {
  /**
   * Since when the primary may have been at this position. The lag of a replica that lacks it is counted from then.
   * Undefined if unknown.
   */
  readonly sinceMs: number | undefined
  readonly lsn: Lsn
}

/**
 * The primary's position over time. A replica's lag is the age of the oldest of these positions that it has not
 * replayed. This is right on an idle primary and for a replica that is cut off, and it needs no common clock.
 *
 * Nothing is known of the time before the first sample. So the lag of a replica that lacks the first sample is
 * unknown. There may be a gap between two samples (this process was stopped, its host was suspended, the primary was
 * out of sight). Then the primary may have written the later one right after the start of the gap.
 */
export class PrimaryPositions {
  readonly #intervals: SightingIntervals
  #samples: Sample[] = []
  #newest: Lsn | undefined
  /** When the primary was last seen. */
  #seen: Moment | undefined
  /** When it was last seen, or found to be down. */
  #heard: Moment | undefined

  constructor(intervals: SightingIntervals) {
    this.#intervals = intervals
  }

  /** Adds a sample. True if it is the first one, or comes after a gap. */
  add(at: Moment, lsn: Lsn): boolean {
    // The position of one server never goes back. So the primary's address leads to another server, which may never
    // reach the old positions.
    if (this.#newest !== undefined && lsn < this.#newest) this.clear()
    const before = this.#seen
    const unseenMs = before && elapsedMs(before, at)
    // The times of older samples do not include the time of the suspension.
    if (before !== undefined && isSuspended(before, at, this.#intervals.sightingMs)) this.clear()
    this.#seen = at
    this.#heard = at
    if (lsn === this.#newest) return false
    this.#newest = lsn
    const isFirst = this.#samples.length === 0
    const isAfterGap = unseenMs !== undefined && unseenMs > this.#intervals.sightingMs
    this.#samples.push({
      sinceMs: isFirst ? undefined : isAfterGap ? at.atMs - unseenMs : at.atMs,
      lsn,
    })
    if (this.#samples.length > MAX_SAMPLES) this.#thinOut()
    return isFirst || isAfterGap
  }

  /** Records that the primary was found to be down: there is no newer position to be seen. */
  wasDown(at: Moment): void {
    this.#heard = at
  }

  /** The lag, in ms, of a server that had replayed up to `lsn` when it was asked; undefined if unknown. */
  lagMs(lsn: Lsn, asked: Moment): number | undefined {
    if (this.#heard === undefined || this.#samples.length === 0) return undefined
    const unheardMs = elapsedMs(this.#heard, asked)
    // The lag is at least this, even if the replica has replayed all that was seen: the primary may have written more
    // since.
    const leastMs = unheardMs > this.#intervals.verdictMs ? unheardMs : 0
    const lacked = this.#samples.find((sample) => sample.lsn > lsn)
    if (lacked === undefined) return leastMs
    return lacked.sinceMs === undefined ? undefined : Math.max(leastMs, asked.atMs - lacked.sinceMs)
  }

  /** The lag of such a server in bytes of WAL; undefined if unknown. */
  lagBytes(lsn: Lsn, { atMs }: Moment): number | undefined {
    const before = this.#samples.findLast(({ sinceMs }) => sinceMs === undefined || sinceMs <= atMs)
    if (before === undefined) return undefined
    return before.lsn <= lsn ? 0 : Number(before.lsn - lsn)
  }

  /** Starts over: another server is the primary. */
  clear(): void {
    this.#samples = []
    this.#newest = undefined
    this.#seen = undefined
    this.#heard = undefined
  }

  /** Drops some of the older samples. Those that stay give a lag that is right to a fiftieth. */
  #thinOut(): void {
    const newestMs = this.#samples.at(-1)?.sinceMs ?? 0
    const kept: Sample[] = []
    let laterMs: number | undefined
    for (const sample of this.#samples.toReversed()) {
      const { sinceMs } = sample
      const isNeeded =
        sinceMs === undefined || laterMs === undefined || laterMs - sinceMs >= (newestMs - laterMs) / 50
      if (!isNeeded) continue
      kept.push(sample)
      laterMs = sinceMs
    }
    this.#samples = kept.reverse()
  }
}

/** The time between two moments, by the clock that shows more. */
export function elapsedMs(from: Moment, to: Moment): number {
  return Math.max(to.atMs - from.atMs, to.atClockMs - from.atClockMs)
}

function isSuspended(from: Moment, to: Moment, toleranceMs: number): boolean {
  return to.atClockMs - from.atClockMs - (to.atMs - from.atMs) > toleranceMs
}

/** A server's answer about how far it has replayed. */
export interface ReplayedAnswer {
  readonly lsn: Lsn
  /** When it was asked, by `performance.now()`. The answer is no older than that. */
  readonly askedAtMs: number
  /** When its server was started; undefined if that was not asked. */
  readonly startedAt: string | undefined
}

/**
 * How far a server is known to have replayed. This only grows, as long as the server does not crash. A lower position
 * that was asked for later means that it did crash. There may be no other sign of that: recovery in place keeps the
 * start time, and a pooler keeps the connection.
 */
export class Replayed {
  #known: (ReplayedAnswer & { readonly answeredAtMs: number }) | undefined

  /** The furthest position that is known; undefined if none is. */
  get lsn(): Lsn | undefined {
    return this.#known?.lsn
  }

  /** Takes an answer, which may be older than what is known by now. */
  saw(answer: ReplayedAnswer, answeredAtMs: number = performance.now()): void {
    if (this.#isNews(answer)) this.#known = { ...answer, answeredAtMs }
  }

  /** Forgets the position: the server may have crashed, or have another history. */
  forget(): void {
    this.#known = undefined
  }

  #isNews({ lsn, askedAtMs, startedAt }: ReplayedAnswer): boolean {
    const known = this.#known
    if (known === undefined) return true
    // If two questions were under way at once, it is unknown which one was answered first.
    if (lsn > known.lsn) return askedAtMs >= known.askedAtMs
    if (startedAt !== undefined && known.startedAt !== undefined && startedAt !== known.startedAt) {
      return askedAtMs >= known.askedAtMs
    }
    return lsn < known.lsn && askedAtMs >= known.answeredAtMs
  }
}
