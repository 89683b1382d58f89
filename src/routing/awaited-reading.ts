import { withinRunningTime } from '../nodes/running-time.ts'

/** How long a statement waits for a reading, from the start of the reading on, in ms. */
export const PATIENCE_MS = 1_000
/** The same for the very first reading: without it, nothing is known of any view. */
const FIRST_PATIENCE_MS = 3_000

/** A reading of the catalog that statements wait for. Each waits until the reading ends or takes too long. */
export class AwaitedReading {
  readonly #sinceMs = performance.now()
  readonly #patienceMs: number
  #end: () => void = ignore
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve
  })

  constructor(isFirst = false) {
    this.#patienceMs = isFirst ? FIRST_PATIENCE_MS : PATIENCE_MS
  }

  /** How much longer statements wait for it, in ms; 0 or less if they no longer do. */
  get leftMs(): number {
    return this.#sinceMs + this.#patienceMs - performance.now()
  }

  /** Waits for the reading, but not past `untilMs`. */
  async wait(untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    const leftMs = Math.min(this.leftMs, untilMs - performance.now())
    if (leftMs > 0) await withinRunningTime(this.#ended, leftMs).catch(ignore)
  }

  end(): void {
    this.#end()
  }
}

function ignore(): void {}
