import type { Random } from '../sql/random.ts'
import { literal, quoted, TABLE_NAMES } from './names.ts'

/** What a schema is made of while it is made. */
export class SchemaBuilder {
  readonly random: Random
  readonly statements: string[] = []
  readonly base: string
  readonly log: string
  readonly sequence: string
  readonly #taken = new Set<string>()
  #count = 0

  constructor(random: Random) {
    this.random = random
    this.base = this.table('t')
    this.log = this.table('log')
    this.sequence = this.table('s')
  }

  add(statement: string): void {
    this.statements.push(statement)
  }

  /** A plain name that nothing else has. */
  fresh(prefix: string): string {
    this.#count++
    return `${prefix}_${this.#count}`
  }

  /** One of these that nothing else has. */
  unused(names: readonly string[]): string {
    for (let tries = 0; tries < 10; tries++) {
      const name = this.random.pick(names)
      if (this.#taken.has(name)) continue
      this.#taken.add(name)
      return name
    }
    return this.fresh('x')
  }

  /** The name of a new relation, as SQL writes it: odd in a third of the cases. */
  table(prefix: string): string {
    if (this.random.chance(0.65)) return this.fresh(prefix)
    return quoted(this.unused(TABLE_NAMES))
  }

  literalOf(name: string): string {
    return literal(name)
  }

  text(what: string): string {
    return literal(what)
  }
}
