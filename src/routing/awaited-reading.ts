import { withPatience } from '../nodes/patience.ts'

/** How long a statement waits at most for a reading from its beginning on, in ms. */
export const PATIENCE_MS = 1_000
/** The same for the very first: without it nothing is known of any view. */
const FIRST_PATIENCE_MS = 3_000

/** A reading of the catalog that statements wait for, each until the patience with it is over. */
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

  /** How long it is still waited for, in ms. */
  get leftMs(): number {
    return this.#sinceMs + this.#patienceMs - performance.now()
  }

  /** Waits for it, and no longer than until then. */
  async wait(untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    const leftMs = Math.min(this.leftMs, untilMs - performance.now())
    if (leftMs > 0) await withPatience(this.#ended, leftMs).catch(ignore)
  }

  end(): void {
    this.#end()
  }
}

function ignore(): void {}
