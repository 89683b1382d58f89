import { PATIENCE_MS } from './awaited-reading.ts'

/** How long the catalog is not read again for unknown functions after it was read for one, in ms. */
const FUNCTIONS_MS = 10_000
/** The longest rest of any kind, in ms. Each failure in a row doubles a rest. */
const MAX_MS = 300_000
/**
 * How long the primary is left alone after a replica had to answer for it, in ms. It doubles each time in a row that
 * this happens while the primary is up.
 */
const PRIMARY_MS = 1_000
/** A migration has many statements. After the first one, the next look waits this long for the others, in ms. */
const DEFINITIONS_MS = 250
/**
 * Half of the rest after a look that found no change, in ms. Each such look in a row doubles the rest, up to the
 * regular pause.
 */
const FRUITLESS_MS = 100
/** The longest pause between two looks, in ms. */
const REGULAR_MS = 60_000
/**
 * How much shorter than that a pause may be, as a part of it. So processes that started together do not look all at
 * once.
 */
const JITTER = 0.25

/**
 * Says when the catalog may be looked at or read again, so that this does not become a load on the primary. Times are
 * by `performance.now()`.
 */
export class CatalogRests {
  #failures = 0
  #lateReadings = 0
  #fruitless = 0
  /** How long the last reading that found a change took, and when the last look was over. */
  #tookMs = 0
  #readAtMs = Number.NEGATIVE_INFINITY
  /** Until when it is not read for unknown functions. */
  functionsEndMs = Number.NEGATIVE_INFINITY
  /** Until when it is not looked at for anything else. */
  looksEndMs = Number.NEGATIVE_INFINITY

  get areFunctionsResting(): boolean {
    return performance.now() < this.functionsEndMs
  }

  get areLooksResting(): boolean {
    return performance.now() < this.looksEndMs
  }

  /** Whether the next look comes soon enough for a statement to wait for it. */
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

  /** When to look if nothing happens. */
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
   * Sets the next rest: as long as a reading that found a change took, so that reading takes at most half of the time.
   * After looks that found nothing, it is longer each time.
   */
  looked(hasChanged: boolean, tookMs: number): void {
    this.#fruitless = hasChanged ? 0 : this.#fruitless + 1
    if (hasChanged) this.#tookMs = tookMs
    this.#readAtMs = performance.now()
    this.looksEndMs =
      this.#readAtMs + (hasChanged ? tookMs : Math.min(FRUITLESS_MS * 2 ** this.#fruitless, REGULAR_MS))
  }

  /** The schema has changed, so the next look is not in vain. */
  sawDefinition(): void {
    this.#fruitless = 0
    this.looksEndMs = this.#readAtMs + this.#tookMs
  }

  /** A reading is over. If no node has answered, nothing asks again soon. */
  ended(hasRead: boolean): void {
    this.#failures = hasRead ? 0 : this.#failures + 1
    if (hasRead) return
    this.functionsWereAsked()
    this.looksEndMs = this.functionsEndMs
  }
}
