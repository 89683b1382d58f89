import type { TableName } from './table-names.ts'

/** The names of all relations of a database, except temporary ones. */
export class KnownRelations {
  /**
   * By name, its schema or its schemas. Most names have one schema: a list for each would take several times the
   * memory.
   */
  readonly #schemas = new Map<string, string | string[]>()

  /** How many relations it holds. */
  size = 0

  add(schema: string, name: string): void {
    const known = this.#schemas.get(name)
    if (known === undefined) this.#schemas.set(name, schema)
    else if (typeof known === 'string') this.#schemas.set(name, [known, schema])
    else known.push(schema)
    this.size++
  }

  /** Whether a statement may mean one of them. Without a schema, any relation of that name counts. */
  has({ schema, table }: TableName): boolean {
    const known = this.#schemas.get(table)
    if (known === undefined || schema === undefined) return known !== undefined
    return typeof known === 'string' ? known === schema : known.includes(schema)
  }
}
