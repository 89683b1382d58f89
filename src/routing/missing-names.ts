import type { FunctionCall } from '../sql/statement-text.ts'
import type { TableName } from '../sql/table-names.ts'

/**
 * How long the server is not asked again for a name that it does not have, in ms. Another process may make an object of
 * that name.
 */
const PAUSE_MS = 300_000
/** How many names are kept. An application has a handful. */
const MAX_NAMES = 1_000

/** A name in a statement that the catalog does not know. */
export type UnknownName = FunctionCall | TableName

export function isRelation(unknown: UnknownName): unknown is TableName {
  return 'table' in unknown
}

/**
 * Names in statements that the catalog does not know. The server may have a new function or relation of that name, or
 * none: a column may be written like a call.
 */
export class MissingNames<Name> {
  readonly #keyOf: (name: Name) => string
  /** The names for which the server has not been asked yet. */
  readonly #asked = new Map<string, Name>()
  /** The names that the server does not have, and until when it is not asked for them again. */
  readonly #missing = new Map<string, { readonly name: Name; readonly untilMs: number }>()

  constructor(keyOf: (name: Name) => string) {
    this.#keyOf = keyOf
  }

  /** Whether a name is worth asking the server for. If so, the next reading asks for it. */
  shouldAskFor(name: Name): boolean {
    const key = this.#keyOf(name)
    const missing = this.#missing.get(key)
    if (missing !== undefined && performance.now() < missing.untilMs) return false
    if (this.#asked.size < MAX_NAMES) this.#asked.set(key, name)
    return true
  }

  /** Whether there are names for which the server has not been asked yet. */
  get areOpen(): boolean {
    return this.#asked.size > 0
  }

  /** A reading of the catalog begins. Gives the names that it asks for. */
  begin(): readonly Name[] {
    return [...this.#asked.values()]
  }

  /** The reading is over. Each name that it asked for is in the catalog now, or does not exist. */
  wereRead(asked: readonly Name[], exists: (name: Name) => boolean): void {
    for (const name of [...[...this.#missing.values()].map((each) => each.name), ...asked]) {
      const key = this.#keyOf(name)
      this.#asked.delete(key)
      if (exists(name)) this.#missing.delete(key)
      else if (this.#missing.size < MAX_NAMES || this.#missing.has(key)) {
        this.#missing.set(key, { name, untilMs: performance.now() + PAUSE_MS })
      }
    }
  }

  /** The schema has changed, so any name may exist now. */
  forget(): void {
    this.#missing.clear()
  }
}
