import type { Cause } from './cause.ts'
import type { KnownRelations } from './known-relations.ts'
import { RelationNames, type TableName } from './table-names.ts'
import { TypeFacts } from './type-facts.ts'

/** What the relations of a database do, and the functions that do more than read because of them. */
export interface RelationFacts {
  /** Whether this was read from a server. */
  readonly areRead: boolean
  /** Relations whose read calls a function that may do more than read, or leaves the server. */
  readonly effectful: RelationNames<Cause>
  /** The same for types. */
  readonly types: TypeFacts
  /**
   * Relations that can be read on the primary only, those that `primaryTables` names, and those that are made of
   * such.
   */
  readonly onPrimary: RelationNames<true>
  /** The same for types. */
  readonly typesOnPrimary: TypeFacts
  readonly plain: PlainTables
  /** Whether a trigger may run within a commit, and so after every question that was asked before the commit. */
  readonly mayDefer: boolean
  /** By key, the functions that do more than read because of what they read or convert. */
  readonly callers: ReadonlyMap<string, IndirectCaller>
  /** The keys of the functions that read a relation of {@link onPrimary}. */
  readonly readers: ReadonlySet<string>
  /** All relations of the database; undefined if they are not known. Then none counts as new. */
  readonly known?: KnownRelations | undefined
}

/** Why a function does more than read although it calls no function that does. */
export interface IndirectCaller {
  /** What it reads or converts, as a warning shows it. */
  readonly because: string
  /** Whether that may advance a sequence. */
  readonly advances: boolean
}

/**
 * The tables known to be plain: an update, delete or merge that affects no row does nothing to them. These are
 * ordinary and partitioned tables that have no rules, no triggers that may hide a row or run without one, and no
 * parts that are not plain.
 */
export class PlainTables {
  readonly #schemas = new Map<string, string[]>()
  /** Names of relations that are not plain. */
  readonly #ambiguous = new Set<string>()

  /** How many tables it holds. */
  size = 0

  add(schema: string, table: string): void {
    const schemas = this.#schemas.get(table)
    if (schemas === undefined) this.#schemas.set(table, [schema])
    else schemas.push(schema)
    this.size++
  }

  /** Records that the relation of this name is not plain. */
  addOther(schema: string, table: string): void {
    const schemas = this.#schemas.get(table)
    if (schemas?.includes(schema)) {
      schemas.splice(schemas.indexOf(schema), 1)
      this.size--
    }
    this.#ambiguous.add(table)
  }

  /**
   * Whether the table that a statement writes to is surely plain. Without a schema, every relation of that name must
   * be plain.
   */
  has({ schema, table }: TableName): boolean {
    const schemas = this.#schemas.get(table)
    if (schemas === undefined) return false
    if (schema !== undefined) return schemas.includes(schema)
    return schemas.length > 0 && !this.#ambiguous.has(table)
  }
}

export const NO_PLAIN_TABLES: PlainTables = new PlainTables()

/** What is known of relations before a server was asked: nothing. */
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

/** The same facts, if the schema may have changed since: no table is known to be plain any more. */
export function withoutPlainTables(relations: RelationFacts): RelationFacts {
  return { ...relations, plain: NO_PLAIN_TABLES }
}

/** The same facts, if a replica that may lag has said them: the primary may have other relations by now. */
export function asOfLate(relations: RelationFacts): RelationFacts {
  return { ...withoutPlainTables(relations), known: undefined }
}
