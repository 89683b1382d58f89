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

/**
 * Reads from any node that answers what the functions and views of the database do: in the background, once, and again
 * when a function turns up that was not there. Until then, and where the catalog cannot be read, PostgreSQL's own
 * functions are known, and any other is taken for one that writes.
 */
export class CatalogReader {
  readonly #nodes: readonly NodeDriver[]
  readonly #classifier: () => StatementClassifier
  #reading: Promise<void> | undefined
  #readAgainAtMs = Number.NEGATIVE_INFINITY

  constructor(nodes: readonly NodeDriver[], classifier: () => StatementClassifier) {
    this.#nodes = nodes
    this.#classifier = classifier
  }

  /** Reads it, unless it is being read; never throws. */
  read(): void {
    this.#reading ??= this.#readFromAny().finally(() => {
      this.#reading = undefined
    })
  }

  /** Reads it again, because of a function that it does not know; but not time and again. */
  readAgain(): void {
    const nowMs = performance.now()
    if (this.#reading !== undefined || nowMs < this.#readAgainAtMs + REST_MS) return
    this.#readAgainAtMs = nowMs
    this.read()
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    await this.#reading
  }

  // The primary first: it is the first to know of a new function.
  async #readFromAny(): Promise<void> {
    for (const node of this.#nodes) {
      try {
        const functions = await node.query<FunctionRow>(FUNCTIONS_QUERY)
        const relations = await node.query<RelationRow>(RELATIONS_QUERY)
        this.#classifier().catalog = catalogOf(functions, relations)
        return
      } catch {
        // The next node may answer; if none does, the built-in list goes on to serve.
      }
    }
  }
}
