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
const FRUITLESS_MS = 100
/** The longest pause between two checks, in ms. */
const REGULAR_MS = 60_000
/** By which fraction a regular pause may be shorter. So processes that started together do not all check at once. */
const JITTER = 0.25

/**
 * Says when the catalog may be checked or read again, so that this does not become a load on the primary. Times are by
 * `performance.now()`.
 */
export class CatalogRests {
  #failures = 0
  #lateReadings = 0
  #fruitless = 0
  /** How long the last reading that found a change took, and when the last check was over. */
  #tookMs = 0
  #readAtMs = Number.NEGATIVE_INFINITY
  /** Until when the catalog is not read for unknown functions. */
  functionsEndMs = Number.NEGATIVE_INFINITY
  /** Until when it is not checked for any other reason. */
  looksEndMs = Number.NEGATIVE_INFINITY

  get areFunctionsResting(): boolean {
    return performance.now() < this.functionsEndMs
  }

  get areLooksResting(): boolean {
    return performance.now() < this.looksEndMs
  }

  /** Whether the next check comes soon enough for a statement to wait for it. */
  get endSoon(): boolean {
    return this.looksEndMs - performance.now() < PATIENCE_MS
  }

  /** When to ask the primary, if a replica has answered in its place. */
  get primaryEndMs(): number {
    return performance.now() + Math.min(PRIMARY_MS * 2 ** this.#lateReadings, MAX_MS)
  }

  /** When to check after a statement that changed the schema. */
  get definitionsEndMs(): number {
    return Math.max(performance.now() + DEFINITIONS_MS, this.looksEndMs)
  }

  /** When to check if nothing happens. */
  get regularLookMs(): number {
    return performance.now() + REGULAR_MS * (1 - JITTER * Math.random())
  }

  /** A reading begins for an unknown function. */
  functionsWereAsked(): void {
    this.functionsEndMs = performance.now() + Math.min(FUNCTIONS_MS * 2 ** this.#failures, MAX_MS)
  }

  /** The catalog was read. `isLate` says that a replica answered although the primary is up. */
  wasRead(isLate: boolean): void {
    this.#lateReadings = isLate ? this.#lateReadings + 1 : 0
  }

  /**
   * A check is over, and sets the pause before the next one. If it found a change, that pause is as long as the reading
   * took: so readings take at most half of the time. If it found none, the pause is longer with each such check in a
   * row.
   */
  looked(hasChanged: boolean, tookMs: number): void {
    this.#fruitless = hasChanged ? 0 : this.#fruitless + 1
    if (hasChanged) this.#tookMs = tookMs
    this.#readAtMs = performance.now()
    this.looksEndMs =
      this.#readAtMs + (hasChanged ? tookMs : Math.min(FRUITLESS_MS * 2 ** this.#fruitless, REGULAR_MS))
  }

  /** The schema has changed, so the next check will find a change. */
  sawDefinition(): void {
    this.#fruitless = 0
    this.looksEndMs = this.#readAtMs + this.#tookMs
  }

  /** A reading is over. If no node has answered, the next one must wait. */
  ended(hasRead: boolean): void {
    this.#failures = hasRead ? 0 : this.#failures + 1
    if (hasRead) return
    this.functionsWereAsked()
    this.looksEndMs = this.functionsEndMs
  }
}
