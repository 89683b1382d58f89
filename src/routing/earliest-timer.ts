/**
 * A timer that several callers set. Only the earliest call is kept, and what it runs sets the timer again. It does not
 * keep the process alive.
 */
export class EarliestTimer {
  #timer: NodeJS.Timeout | undefined
  #atMs = Number.POSITIVE_INFINITY
  #isStopped = false

  /** Calls `run` at a time by `performance.now()`, unless an earlier call is set. */
  at(atMs: number, run: () => void): void {
    if (this.#atMs <= atMs || this.#isStopped) return
    clearTimeout(this.#timer)
    this.#atMs = atMs
    this.#timer = setTimeout(() => {
      this.#atMs = Number.POSITIVE_INFINITY
      run()
    }, atMs - performance.now()).unref()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#atMs = Number.POSITIVE_INFINITY
  }

  stop(): void {
    this.clear()
    this.#isStopped = true
  }
}
