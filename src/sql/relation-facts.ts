import type { Cause } from './dependents.ts'
import { NO_PLAIN_TABLES, type PlainTables } from './plain-tables.ts'
import { RelationNames } from './table-names.ts'

/** What the relations of a database do, and the functions that do it through them. */
export interface RelationFacts {
  /** Relations, types and operators whose use calls a function that may do more than read, or leaves the server. */
  readonly effectful: RelationNames<Cause>
  /** Relations that can be read on the primary only, or are `primaryTables` or made of them. */
  readonly onPrimary: RelationNames<true>
  readonly plain: PlainTables
  /** Functions that do more than read by what they read, by their keys, and what that is. */
  readonly callers: ReadonlyMap<string, string>
  /** Functions that read what {@link onPrimary} holds, by their keys. */
  readonly readers: ReadonlySet<string>
}

/** What is known of relations before a server has said it: nothing. */
export const NO_RELATIONS: RelationFacts = {
  effectful: new RelationNames(),
  onPrimary: new RelationNames(),
  plain: NO_PLAIN_TABLES,
  callers: new Map(),
  readers: new Set(),
}

/** The same where the schema may have changed since: what was harmless may not be any more. */
export function withoutPlainTables(relations: RelationFacts): RelationFacts {
  return { ...relations, plain: NO_PLAIN_TABLES }
}
