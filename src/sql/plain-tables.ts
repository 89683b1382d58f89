import type { TableName } from './table-names.ts'

/**
 * Tables whose updates, deletes and merges do nothing where they affect no row: ordinary and partitioned tables without rules, without
 * triggers that may hide a row or run without one, and without descendants that are not plain. What is not in it is not known to be
 * plain.
 */
export class PlainTables {
  readonly #schemas = new Map<string, string[]>()
  /** Names that are also those of relations that are not plain. */
  readonly #ambiguous = new Set<string>()

  /** How many tables it holds. */
  size = 0

  add(schema: string, table: string): void {
    const schemas = this.#schemas.get(table)
    if (schemas === undefined) this.#schemas.set(table, [schema])
    else schemas.push(schema)
    this.size++
  }

  /** A relation of this name is not plain. */
  addOther(schema: string, table: string): void {
    const schemas = this.#schemas.get(table)
    if (schemas?.includes(schema)) {
      schemas.splice(schemas.indexOf(schema), 1)
      this.size--
    }
    this.#ambiguous.add(table)
  }

  /** Whether the table that a statement writes to is surely plain; without a schema every relation of that name has to be. */
  has({ schema, table }: TableName): boolean {
    const schemas = this.#schemas.get(table)
    if (schemas === undefined) return false
    if (schema !== undefined) return schemas.includes(schema)
    return schemas.length > 0 && !this.#ambiguous.has(table)
  }
}

export const NO_PLAIN_TABLES: PlainTables = new PlainTables()
