import type { Cause } from './cause.ts'
import type { KnownRelations } from './known-relations.ts'
import { NameMap, type TableName } from './table-names.ts'
import { TypeFacts } from './type-facts.ts'

/** The effects of the relations of a database, and the functions that do more than read because of them. */
export interface RelationFacts {
  /** Whether this was read from a server. */
  readonly areRead: boolean
  /** Relations of which a read calls a function that may do more than read, or goes to another server. */
  readonly effectful: NameMap<Cause>
  /** Types of which a use calls such a function. */
  readonly types: TypeFacts
  /**
   * Relations that can be read on the primary only, those that `primaryTables` names, and relations that read or
   * contain one of these.
   */
  readonly onPrimary: NameMap<true>
  /** Types of which a use reads such a relation. */
  readonly typesOnPrimary: TypeFacts
  readonly plain: PlainTables
  /** Whether a trigger may run within a commit, and so after the questions that are asked right before the commit. */
  readonly mayDefer: boolean
  /**
   * The functions that do more than read because of a relation that they read or a type that they convert to, by key.
   */
  readonly callers: ReadonlyMap<string, IndirectCaller>
  /** The keys of the functions that read a relation of {@link onPrimary}. */
  readonly readers: ReadonlySet<string>
  /** All relations of the database; undefined if they are not known. Then none counts as new. */
  readonly known?: KnownRelations | undefined
}

/** Why a function does more than read although it calls no function that does. */
export interface IndirectCaller {
  /** The relation that it reads or the type that it converts to, as a warning shows it. */
  readonly because: string
  /** Whether this may advance a sequence. */
  readonly advances: boolean
}

/**
 * The tables known to be plain: an update, delete or merge that affects no row does nothing to them. A plain table is
 * an ordinary or partitioned table. It has no rules, no triggers that may hide a row or run without one, and only
 * plain parts.
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
  effectful: new NameMap(),
  types: new TypeFacts(),
  onPrimary: new NameMap(),
  typesOnPrimary: new TypeFacts(),
  plain: NO_PLAIN_TABLES,
  mayDefer: true,
  callers: new Map(),
  readers: new Set(),
}

/** The same facts after the schema may have changed: no table is known to be plain any more. */
export function withoutPlainTables(relations: RelationFacts): RelationFacts {
  return { ...relations, plain: NO_PLAIN_TABLES }
}

/** The same facts if they were read from a replica. It may lag, so the primary may have other relations by now. */
export function fromReplica(relations: RelationFacts): RelationFacts {
  return { ...withoutPlainTables(relations), known: undefined }
}
