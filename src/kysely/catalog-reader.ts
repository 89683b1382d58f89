import { withPatience } from '../replicas/patience.ts'
import {
  catalogOf,
  FUNCTIONS_QUERY,
  type FunctionRow,
  RELATIONS_QUERY,
  type RelationRow,
} from '../sql/catalog.ts'
import type { StatementClassifier } from '../sql/classifier.ts'
import type { NodeDriver } from './node-driver.ts'

/** How long the catalog is not read again after an unknown function had it read, however many turn up. */
const REST_MS = 10_000
/** How long at most, where no node lets it be read: each failure in a row doubles the rest. */
const MAX_REST_MS = 300_000
/** How long a statement waits at most for a reading from its beginning on, in ms. */
const PATIENCE_MS = 1_000
/** How long a reading that is under way when the database is destroyed may take to end by itself. */
const GRACE_MS = 250

/**
 * Reads from any node that answers what the functions and views of the database do: in the background, once, and again
 * when a function turns up that was not there. Until then, and where the catalog cannot be read, PostgreSQL's own
 * functions are known, and any other is taken for one that writes.
 */
export class CatalogReader {
  readonly #nodes: () => readonly NodeDriver[]
  readonly #classifier: () => StatementClassifier
  readonly #stop = new AbortController()
  #reading: Promise<void> | undefined
  #readsSinceMs = 0
  #restsUntilMs = Number.NEGATIVE_INFINITY
  #failures = 0
  #next: NodeJS.Timeout | undefined

  constructor(nodes: () => readonly NodeDriver[], classifier: () => StatementClassifier) {
    this.#nodes = nodes
    this.#classifier = classifier
  }

  /** Reads it, unless it is being read; never throws. */
  read(): void {
    if (this.#stop.signal.aborted) return
    if (this.#reading !== undefined) return
    this.#readsSinceMs = performance.now()
    this.#reading = this.#readFromAny().then((hasRead) => {
      this.#reading = undefined
      this.#failures = hasRead ? 0 : this.#failures + 1
      if (hasRead) return
      // Texts are classified once: who asked, while no node answered, will not ask again.
      this.#rest()
      this.readAgain()
    })
  }

  /** Reads it again, because of a function that it does not know; at once, or when it has rested. */
  readAgain(): void {
    if (this.#reading !== undefined || this.#next !== undefined || this.#stop.signal.aborted) return
    const restMs = this.#restsUntilMs - performance.now()
    if (restMs > 0) {
      this.#next = setTimeout(() => {
        this.#next = undefined
        this.readAgain()
      }, restMs).unref()
      return
    }
    this.#rest()
    this.read()
  }

  /**
   * How to wait for what the server says of a function, until `isKnown`; undefined where it was just asked, or does not answer: then
   * nobody waits for it again.
   */
  answer(isKnown: () => boolean): (() => Promise<void>) | undefined {
    if (this.#stop.signal.aborted) return undefined
    if (this.#reading === undefined ? this.#isResting : this.#leftMs <= 0) return undefined
    return async () => {
      // One that is under way may have begun before the function was there.
      await this.#reads()
      if (isKnown()) return
      this.readAgain()
      await this.#reads()
    }
  }

  get #isResting(): boolean {
    return performance.now() < this.#restsUntilMs
  }

  /** How long a reading that is under way is still waited for, in ms. */
  get #leftMs(): number {
    return this.#readsSinceMs + PATIENCE_MS - performance.now()
  }

  async #reads(): Promise<void> {
    const leftMs = this.#leftMs
    if (this.#reading !== undefined && leftMs > 0) await withPatience(this.#reading, leftMs).catch(ignore)
  }

  /** Ends it; a reading that is under way is cut short, as where a server is frozen. */
  async stop(): Promise<void> {
    clearTimeout(this.#next)
    const cut = setTimeout(() => this.#stop.abort(), GRACE_MS)
    await this.#reading
    clearTimeout(cut)
    this.#stop.abort()
    clearTimeout(this.#next)
  }

  #rest(): void {
    this.#restsUntilMs = performance.now() + Math.min(REST_MS * 2 ** this.#failures, MAX_REST_MS)
  }

  // The primary first: it is the first to know of a new function.
  async #readFromAny(): Promise<boolean> {
    for (const node of this.#nodes()) {
      try {
        this.#classifier().catalog = await node.ask(
          async (client) =>
            catalogOf(
              (await client.query<FunctionRow>(FUNCTIONS_QUERY)).rows,
              (await client.query<RelationRow>(RELATIONS_QUERY)).rows,
            ),
          this.#stop.signal,
        )
        return true
      } catch {
        // The next node may answer; if none does, the built-in list goes on to serve.
      }
    }
    return false
  }
}

function ignore(): void {}
