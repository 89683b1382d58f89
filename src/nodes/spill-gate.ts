import { WritePinningError } from '../errors.ts'

/** How long a read waits for a free place on the primary, in ms. */
export const WAIT_MS = 1_000

interface Waiter {
  readonly enter: (hasEntered: boolean) => void
}

/**
 * Limits how many spilled reads (those that no replica could serve) run on the primary at a time, so that writes
 * always find a connection there.
 */
export class SpillGate {
  readonly #cluster: string
  readonly #limit: () => number
  #inside = 0
  /** In the order in which they came. */
  #waiting = new Set<Waiter>()
  /**
   * An iterator over that order, kept because a new one for each read would have to step over all entries that were
   * deleted.
   */
  #order = this.#waiting.values()

  /** `limit` gives how many may be inside. */
  constructor(cluster: string, limit: () => number) {
    this.#cluster = cluster
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.#inside >= this.#limit()
  }

  get inside(): number {
    return this.#inside
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Waits for a free place, takes it, and gives true. Gives false if another node may serve by now.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NO_REPLICA` with `statusCode` 503 if no place is free within
   * `waitMs`.
   */
  enter(waitMs: number = WAIT_MS): Promise<boolean> {
    if (!this.isFull) {
      this.#inside++
      return Promise.resolve(true)
    }
    return new Promise((resolve, reject) => {
      const waiter = {
        enter: (hasEntered: boolean) => {
          clearTimeout(timer)
          resolve(hasEntered)
        },
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(waiter)
        reject(noReplica(this.#cluster, 'and the primary serves as many of their reads as it may'))
      }, waitMs)
      this.#waiting.add(waiter)
    })
  }

  leave(): void {
    this.#inside--
    while (!this.isFull && this.#waiting.size > 0) {
      this.#inside++
      this.#next()?.enter(true)
    }
  }

  /** Sends all who wait back to look for a node again: a replica may serve by now. */
  lookAgain(): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    this.#order = this.#waiting.values()
    for (const each of waiting) each.enter(false)
  }

  /** Removes and gives the one who has waited longest. */
  #next(): Waiter | undefined {
    let { value } = this.#order.next()
    if (value === undefined) {
      // An iterator that has come to its end gives nothing more, even if somebody has come since.
      this.#order = this.#waiting.values()
      value = this.#order.next().value
    }
    if (value !== undefined) this.#waiting.delete(value)
    return value
  }
}

/** The error for a read that no replica may serve; `because` says why the primary does not serve it either. */
export function noReplica(cluster: string, because: string): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_NO_REPLICA',
    `No replica of cluster '${cluster}' is fit to serve reads now, ${because}. Try again soon.`,
    { statusCode: 503 },
  )
}
