import { withPatience } from '../nodes/patience.ts'

/** How long a statement waits at most for a reading from its beginning on, in ms. */
export const PATIENCE_MS = 1_000

/** A reading of the catalog that statements wait for, each until the patience with it is over. */
export class AwaitedReading {
  readonly #sinceMs = performance.now()
  #end: () => void = ignore
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve
  })

  /** How long it is still waited for, in ms. */
  get leftMs(): number {
    return this.#sinceMs + PATIENCE_MS - performance.now()
  }

  async wait(): Promise<void> {
    const { leftMs } = this
    if (leftMs > 0) await withPatience(this.#ended, leftMs).catch(ignore)
  }

  end(): void {
    this.#end()
  }
}

function ignore(): void {}
