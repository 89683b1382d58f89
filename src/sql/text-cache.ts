/** How many texts each of the two generations holds. */
const GENERATION_SIZE = 1_000
/** How long a text may be to be kept, in characters. */
const MAX_TEXT_LENGTH = 8_192

/**
 * Values by text, for a bounded number of texts. When the young generation is full, it becomes the old one, and the
 * old one before it is dropped. A text that is asked for moves to the young generation, so texts that are not asked
 * for are forgotten.
 *
 * A text that was added by {@link keep} is in a map of its own, and is forgotten last.
 */
export class TextCache<Value> {
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()
  readonly #kept = new Map<string, Value>()

  get(text: string): Value | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const known = this.#kept.get(text) ?? this.#old.get(text)
    if (known !== undefined) this.set(text, known)
    return known
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
  keep(text: string, value: Value): void {
    if (text.length > MAX_TEXT_LENGTH) return
    if (this.#kept.size >= GENERATION_SIZE) {
      const oldest = this.#kept.keys().next()
      if (!oldest.done) this.#kept.delete(oldest.value)
    }
    this.#kept.set(text, value)
    this.#young.delete(text)
    this.#old.delete(text)
  }

  /** Forgets everything, including the texts that were added by {@link keep}. */
  forgetKept(): void {
    this.#kept.clear()
    this.clear()
  }

  /** Forgets all texts except those. */
  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
