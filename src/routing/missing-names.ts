import type { FunctionCall } from '../sql/statement-text.ts'
import type { TableName } from '../sql/table-names.ts'

/** How long a name that the server does not have is no reason to ask it again: another process may make something of that name. */
const REST_MS = 300_000
/** How many are remembered; an application has a handful. */
const MAX_NAMES = 1_000

/** What a statement names that the catalog does not know. */
export type Unknown = FunctionCall | TableName

export function isRelation(unknown: Unknown): unknown is TableName {
  return 'table' in unknown
}

/** Names of functions or of relations in statements that the server does not have: the column of a row that is written like a call, say. */
export class MissingNames<Name> {
  readonly #keyOf: (name: Name) => string
  /** Those that the server has not been asked for since. */
  readonly #asked = new Map<string, Name>()
  /** Until when those that it does not have are not asked for again. */
  readonly #missing = new Map<string, { readonly name: Name; readonly untilMs: number }>()

  constructor(keyOf: (name: Name) => string) {
    this.#keyOf = keyOf
  }

  /** Whether it is worth a question: then it is asked for by the next one. */
  ask(name: Name): boolean {
    const key = this.#keyOf(name)
    const missing = this.#missing.get(key)
    if (missing !== undefined && performance.now() < missing.untilMs) return false
    if (this.#asked.size < MAX_NAMES) this.#asked.set(key, name)
    return true
  }

  /** Whether there are any that the server has not been asked for. */
  get areOpen(): boolean {
    return this.#asked.size > 0
  }

  /** The server's catalog is read from now on; gives those that it is asked for. */
  begin(): readonly Name[] {
    return [...this.#asked.values()]
  }

  /** It was read, and those that it was asked for are in it or do not exist. */
  wereRead(asked: readonly Name[], exists: (name: Name) => boolean): void {
    for (const name of [...[...this.#missing.values()].map((each) => each.name), ...asked]) {
      const key = this.#keyOf(name)
      this.#asked.delete(key)
      if (exists(name)) this.#missing.delete(key)
      else if (this.#missing.size < MAX_NAMES || this.#missing.has(key)) {
        this.#missing.set(key, { name, untilMs: performance.now() + REST_MS })
      }
    }
  }

  /** The schema has changed: any may exist by now. */
  forget(): void {
    this.#missing.clear()
  }
}
