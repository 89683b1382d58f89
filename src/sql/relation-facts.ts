import type { Cause } from './cause.ts'
import type { KnownRelations } from './known-relations.ts'
import { RelationNames, type TableName } from './table-names.ts'
import { TypeFacts } from './type-facts.ts'

/** What the relations of a database do, and the functions that do it through them. */
export interface RelationFacts {
  /** Whether a server has said it. */
  readonly areRead: boolean
  /** Relations whose reading calls a function that may do more than read, or leaves the server. */
  readonly effectful: RelationNames<Cause>
  /** The same of types. */
  readonly types: TypeFacts
  /** Relations that can be read on the primary only, or are `primaryTables` or made of them. */
  readonly onPrimary: RelationNames<true>
  /** The same of types. */
  readonly typesOnPrimary: TypeFacts
  readonly plain: PlainTables
  /** Whether a trigger may run with a commit, behind all that is asked before it. */
  readonly mayDefer: boolean
  /** Functions that do more than read by what they read or convert, by their keys. */
  readonly callers: ReadonlyMap<string, IndirectCaller>
  /** Functions that read what {@link onPrimary} holds, by their keys. */
  readonly readers: ReadonlySet<string>
  /** All relations there are; undefined where that is not known, so that none is taken for a new one. */
  readonly known?: KnownRelations | undefined
}

/** What a function does that calls no other one which does more than read. */
export interface IndirectCaller {
  /** What it reads or converts, as a warning says it. */
  readonly because: string
  /** Whether that may advance a sequence. */
  readonly advances: boolean
}

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

/** What is known of relations before a server has said it: nothing. */
export const NO_RELATIONS: RelationFacts = {
  areRead: false,
  effectful: new RelationNames(),
  types: new TypeFacts(),
  onPrimary: new RelationNames(),
  typesOnPrimary: new TypeFacts(),
  plain: NO_PLAIN_TABLES,
  mayDefer: true,
  callers: new Map(),
  readers: new Set(),
}

/** The same where the schema may have changed since: what was harmless may not be any more. */
export function withoutPlainTables(relations: RelationFacts): RelationFacts {
  return { ...relations, plain: NO_PLAIN_TABLES }
}

/** The same where the primary may have others by now. */
export function asOfLate(relations: RelationFacts): RelationFacts {
  return { ...withoutPlainTables(relations), known: undefined }
}
