/** One read or write of a load; times are in ms since the load began. */
export interface Operation<T> {
  readonly startMs: number
  readonly endMs: number
  readonly value?: T
  /** There where it failed. */
  readonly error?: unknown
}

/** What became of a load's reads or writes, in the order in which they began. */
export class LoadReport<T> {
  readonly operations: readonly Operation<T>[]

  constructor(operations: readonly Operation<T>[]) {
    this.operations = operations.toSorted((a, b) => a.startMs - b.startMs)
  }

  /** Only what began in this time. */
  between(fromMs: number, toMs = Number.POSITIVE_INFINITY): LoadReport<T> {
    return new LoadReport(this.operations.filter(({ startMs }) => startMs >= fromMs && startMs < toMs))
  }

  /** The errors of those that failed. */
  failures(): unknown[] {
    return this.operations.filter((each) => 'error' in each).map(({ error }) => error)
  }

  /** Those that took longest, the longest first, whether they failed or not. */
  slowest(count = 1): Operation<T>[] {
    return this.operations.toSorted((a, b) => tookMs(b) - tookMs(a)).slice(0, count)
  }

  /** How long the longest took, in ms; 0 where there was none. */
  get slowestMs(): number {
    return this.percentileMs(100)
  }

  /** What so many percent of them took at most, in ms, such as 95; 0 where there was none. */
  percentileMs(percent: number): number {
    const sorted = this.operations.map(tookMs).toSorted((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0
  }

  /** How many of those that began in this time gave what, as in `{ 'replica-1': 120, primary: 3 }`. */
  servedBy(fromMs = 0, toMs?: number): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const each of this.between(fromMs, toMs).operations) {
      if (!('error' in each)) counts[String(each.value)] = (counts[String(each.value)] ?? 0) + 1
    }
    return counts
  }
}

function tookMs({ startMs, endMs }: Operation<unknown>): number {
  return endMs - startMs
}
