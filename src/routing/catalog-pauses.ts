import { PATIENCE_MS } from './awaited-reading.ts'

/** The pause between two readings for unknown functions, in ms. */
const FUNCTIONS_MS = 10_000
/** The longest pause of any kind, in ms. Each failure in a row doubles a pause. */
const MAX_MS = 300_000
/**
 * How long the primary is not asked after a replica answered in its place, in ms. It doubles with each time in a row,
 * if the primary is up.
 */
const PRIMARY_MS = 1_000
/** A migration has many statements. After the first one, the next check waits this long for the others, in ms. */
const DEFINITIONS_MS = 250
/**
 * The pause after a first check that found no change is twice this, in ms. Each further one doubles it, up to the
 * regular pause.
 */
const FRUITLESS_CHECK_MS = 100
/** The longest pause between two checks, in ms. */
const REGULAR_MS = 60_000
/** By which fraction a regular pause may be shorter. So processes that started together do not all check at once. */
const JITTER = 0.25

/**
 * Says when the catalog may be checked or read again, so that this does not become a load on the primary. Times are by
 * `performance.now()`.
 */
export class CatalogPauses {
  #failures = 0
  #replicaReadings = 0
  #fruitlessChecks = 0
  /** How long the last reading that found a change took, and when the last check was over. */
  #tookMs = 0
  #readAtMs = Number.NEGATIVE_INFINITY
  /** Until when the catalog is not read for unknown functions. */
  nextFunctionReadingMs = Number.NEGATIVE_INFINITY
  /** Until when it is not checked for any other reason. */
  nextCheckMs = Number.NEGATIVE_INFINITY

  get areFunctionReadingsPaused(): boolean {
    return performance.now() < this.nextFunctionReadingMs
  }

  get areChecksPaused(): boolean {
    return performance.now() < this.nextCheckMs
  }

  /** Whether the next check comes soon enough for a statement to wait for it. */
  get checkComesSoon(): boolean {
    return this.nextCheckMs - performance.now() < PATIENCE_MS
  }

  /** When to ask the primary, if a replica has answered in its place. */
  get nextPrimaryTryMs(): number {
    return performance.now() + Math.min(PRIMARY_MS * 2 ** this.#replicaReadings, MAX_MS)
  }

  /** When to check after a statement that changed the schema. */
  get checkAfterDefinitionMs(): number {
    return Math.max(performance.now() + DEFINITIONS_MS, this.nextCheckMs)
  }

  /** When to check if nothing happens. */
  get nextRegularCheckMs(): number {
    return performance.now() + REGULAR_MS * (1 - JITTER * Math.random())
  }

  /** A reading begins for an unknown function. */
  functionReadingBegan(): void {
    this.nextFunctionReadingMs = performance.now() + Math.min(FUNCTIONS_MS * 2 ** this.#failures, MAX_MS)
  }

  /** The catalog was read. `isFromReplica` says that a replica answered although the primary is up. */
  wasRead(isFromReplica: boolean): void {
    this.#replicaReadings = isFromReplica ? this.#replicaReadings + 1 : 0
  }

  /**
   * A check is over, and sets the pause before the next one. If it found a change, that pause is as long as the reading
   * took: so readings take at most half of the time. If it found none, the pause is longer with each such check in a
   * row.
   */
  checked(hasChanged: boolean, tookMs: number): void {
    this.#fruitlessChecks = hasChanged ? 0 : this.#fruitlessChecks + 1
    if (hasChanged) this.#tookMs = tookMs
    this.#readAtMs = performance.now()
    this.nextCheckMs =
      this.#readAtMs +
      (hasChanged ? tookMs : Math.min(FRUITLESS_CHECK_MS * 2 ** this.#fruitlessChecks, REGULAR_MS))
  }

  /** The schema has changed, so the next check will find a change. */
  sawDefinition(): void {
    this.#fruitlessChecks = 0
    this.nextCheckMs = this.#readAtMs + this.#tookMs
  }

  /** A reading is over. If no node has answered, the next one must wait. */
  ended(hasRead: boolean): void {
    this.#failures = hasRead ? 0 : this.#failures + 1
    if (hasRead) return
    this.functionReadingBegan()
    this.nextCheckMs = this.nextFunctionReadingMs
  }
}
