/** How many texts each of the two generations holds. */
const GENERATION_SIZE = 1_000
/** How long a text may be to be kept, in characters. */
const MAX_TEXT_LENGTH = 8_192

/**
 * Values by text, for a bounded number of texts. When the young generation is full, it becomes the old one, and the
 * old one before it is dropped. A text that is asked for moves to the young generation, so texts that are not asked
 * for are forgotten.
 *
 * Pinned texts are kept apart, and are forgotten last. These pins are no pins of users.
 */
export class TextCache<Value> {
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()
  readonly #pinned = new Map<string, Value>()

  get(text: string): Value | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const kept = this.#pinned.get(text) ?? this.#old.get(text)
    if (kept !== undefined) this.set(text, kept)
    return kept
  }

  set(text: string, value: Value): void {
    if (text.length > MAX_TEXT_LENGTH) return
    if (this.#young.size >= GENERATION_SIZE) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, value)
  }

  /** Keeps a value even if another one is set, or the cache is cleared. A text that is too long is not kept. */
  pin(text: string, value: Value): void {
    if (text.length > MAX_TEXT_LENGTH) return
    if (this.#pinned.size >= GENERATION_SIZE) {
      const oldest = this.#pinned.keys().next()
      if (!oldest.done) this.#pinned.delete(oldest.value)
    }
    this.#pinned.set(text, value)
    this.#young.delete(text)
    this.#old.delete(text)
  }

  /** Forgets everything, including pinned texts. */
  unpin(): void {
    this.#pinned.clear()
    this.clear()
  }

  /** Forgets everything that is not pinned. */
  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
