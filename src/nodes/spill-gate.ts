import { WritePinningError } from '../errors.ts'

/** How long a read waits for its turn on the primary, in ms. */
export const WAIT_MS = 1_000

interface Waiter {
  readonly enter: (hasEntered: boolean) => void
}

/**
 * Bounds how many reads that no replica could serve the primary serves at a time, so that its writes always find a
 * connection.
 */
export class SpillGate {
  readonly #cluster: string
  readonly #limit: () => number
  #inside = 0
  /** In the order in which they came. */
  #waiting = new Set<Waiter>()
  /** Goes along that order: to begin anew for each would pass by all who have left since. */
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
   * Enters, and gives true; or false where somebody else may serve by now.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NO_REPLICA` with `statusCode` 503 where that takes longer than `waitMs`.
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

  /** Has everybody who waits look again: a replica may serve by now. */
  lookAgain(): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    this.#order = this.#waiting.values()
    for (const each of waiting) each.enter(false)
  }

  /** Takes the one who has waited longest out. */
  #next(): Waiter | undefined {
    let { value } = this.#order.next()
    if (value === undefined) {
      // An order that came to its end once has no more to give, whoever has come since.
      this.#order = this.#waiting.values()
      value = this.#order.next().value
    }
    if (value !== undefined) this.#waiting.delete(value)
    return value
  }
}

/** No replica may serve, and why the primary does not either. */
export function noReplica(cluster: string, because: string): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_NO_REPLICA',
    `No replica of cluster '${cluster}' is fit to serve reads now, ${because}. Try again soon.`,
    { statusCode: 503 },
  )
}
