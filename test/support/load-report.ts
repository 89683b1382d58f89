/** One read or write of a load; times are in ms since the load began. */
export interface Operation<T> {
  readonly startMs: number
  readonly endMs: number
  readonly value?: T
  /** Present if it failed. */
  readonly error?: unknown
}

/** The results of a load's reads or writes, in the order in which they began. */
export class LoadReport<T> {
  readonly operations: readonly Operation<T>[]

  constructor(operations: readonly Operation<T>[]) {
    this.operations = operations.toSorted((a, b) => a.startMs - b.startMs)
  }

  /** The operations that began in this time. */
  between(fromMs: number, toMs = Number.POSITIVE_INFINITY): LoadReport<T> {
    return new LoadReport(this.operations.filter(({ startMs }) => startMs >= fromMs && startMs < toMs))
  }

  /** The errors of the operations that failed. */
  failures(): unknown[] {
    return this.operations.filter((each) => 'error' in each).map(({ error }) => error)
  }

  /** The operations that took longest, the longest first, failed ones included. */
  slowest(count = 1): Operation<T>[] {
    return this.operations.toSorted((a, b) => tookMs(b) - tookMs(a)).slice(0, count)
  }

  /** How long the longest operation took, in ms; 0 if there was none. */
  get slowestMs(): number {
    return this.percentileMs(100)
  }

  /** The time within which this percentage of the operations ended, such as 95, in ms; 0 if there was none. */
  percentileMs(percent: number): number {
    const sorted = this.operations.map(tookMs).toSorted((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0
  }

  /** How many of the operations that began in this time gave each value, as in `{ 'replica-1': 120, primary: 3 }`. */
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
