import { PATIENCE_MS } from './awaited-reading.ts'

/** How long the catalog is not read again after an unknown function had it read, however many turn up. */
const FUNCTIONS_MS = 10_000
/** How long at most anything rests: each failure in a row doubles it. */
const MAX_MS = 300_000
/** How long the primary is left alone after another node had to answer for it; each time in a row that it is up doubles that. */
const PRIMARY_MS = 1_000
/** A migration has many statements: for how long the first of them waits for others before it is looked what they did. */
const DEFINITIONS_MS = 250
/** How long it is not looked again after a look that found nothing, whoever asks; each in a row doubles that, up to the regular one. */
const FRUITLESS_MS = 100
/** How often it is looked at least whether the catalog has changed. */
const REGULAR_MS = 60_000
/** Processes that were started together look one after the other. */
const JITTER = 0.25

/** When the catalog may be looked at or read again: what has it read must not become a load on the primary. Times are those of `performance.now()`. */
export class CatalogRests {
  #failures = 0
  #lateReadings = 0
  #fruitless = 0
  /** How long the last reading took, and when it was over. */
  #tookMs = 0
  #readAtMs = Number.NEGATIVE_INFINITY
  /** Until when it is not read for a function that nobody knows. */
  functionsEndMs = Number.NEGATIVE_INFINITY
  /** Until when it is not looked at for anything else. */
  looksEndMs = Number.NEGATIVE_INFINITY

  get areFunctionsResting(): boolean {
    return performance.now() < this.functionsEndMs
  }

  get areLooksResting(): boolean {
    return performance.now() < this.looksEndMs
  }

  /** Whether the next look comes while a statement has the patience to wait for it. */
  get endSoon(): boolean {
    return this.looksEndMs - performance.now() < PATIENCE_MS
  }

  /** Until when the primary is left alone after a replica has answered for it. */
  get primaryEndMs(): number {
    return performance.now() + Math.min(PRIMARY_MS * 2 ** this.#lateReadings, MAX_MS)
  }

  /** When to look after a statement that changed the schema. */
  get definitionsEndMs(): number {
    return Math.max(performance.now() + DEFINITIONS_MS, this.looksEndMs)
  }

  /** When to look whatever happens. */
  get regularLookMs(): number {
    return performance.now() + REGULAR_MS * (1 - JITTER * Math.random())
  }

  /** A reading begins for a function that nobody knows. */
  functionsWereAsked(): void {
    this.functionsEndMs = performance.now() + Math.min(FUNCTIONS_MS * 2 ** this.#failures, MAX_MS)
  }

  /** It was read; `isLate` where a replica answered for a primary that is up. */
  wasRead(isLate: boolean): void {
    this.#lateReadings = isLate ? this.#lateReadings + 1 : 0
  }

  /** Half of the time at most it is being read, and seldom where nothing changes. */
  looked(hasChanged: boolean, tookMs: number): void {
    this.#fruitless = hasChanged ? 0 : this.#fruitless + 1
    if (hasChanged) this.#tookMs = tookMs
    this.#readAtMs = performance.now()
    this.looksEndMs =
      this.#readAtMs + (hasChanged ? tookMs : Math.min(FRUITLESS_MS * 2 ** this.#fruitless, REGULAR_MS))
  }

  /** There is something to be found. */
  sawDefinition(): void {
    this.#fruitless = 0
    this.looksEndMs = this.#readAtMs + this.#tookMs
  }

  /** A reading is over; where no node has answered, nothing asks again soon. */
  ended(hasRead: boolean): void {
    this.#failures = hasRead ? 0 : this.#failures + 1
    if (hasRead) return
    this.functionsWereAsked()
    this.looksEndMs = this.functionsEndMs
  }
}
