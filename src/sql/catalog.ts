import type { Cause } from './cause.ts'
import {
  type CallEffect,
  type FunctionFacts,
  isSyntax,
  keyOf,
  LEAVES_NOTHING,
  type Leaves,
  MAY_BIND,
} from './function-facts.ts'
import { BUILT_IN_FUNCTIONS, BUILT_IN_TYPES, HARMLESS_FUNCTIONS, knownEffect } from './known-functions.ts'
import { NO_RELATIONS, type PlainTables, type RelationFacts } from './relation-facts.ts'
import type { FunctionCall } from './statement-text.ts'
import type { RelationNames, TableName } from './table-names.ts'
import type { TypeFacts } from './type-facts.ts'

/** What the functions and relations of one database do, by name. A function counts as its worst overload. */
export interface Catalog {
  /**
   * Whether all of it was read, and nothing has shown since that it is out of date. If so, what it does not name is
   * harmless.
   */
  readonly isCurrent: boolean
  /** Whether the relations and types were read at all. */
  readonly areRelationsRead: boolean
  effectOf(call: FunctionCall): CallEffect
  /**
   * Whether a call is known to leave nothing in the session, such as a setting or a lock, even if the statement fails
   * there.
   */
  leavesNothing(call: FunctionCall): boolean
  /** Whether any function of the application may leave something in its session. */
  readonly hasLeavers: boolean
  /** What a call may leave in its session that this package cannot follow. */
  leftBy(call: FunctionCall): Leaves
  /**
   * Whether its declaration calls it harmless, but what it runs cannot be read, such as a text that it builds.
   * Nothing vouches for such a call.
   */
  isOpaque(call: FunctionCall): boolean
  /**
   * What a function calls or reads that makes it do more than it declares; undefined if there is nothing, or if its
   * own declaration says so.
   */
  becauseOf(call: FunctionCall): string | undefined
  /** Relations whose read calls a function that may do more than read, or leaves the server. */
  readonly effectfulRelations: RelationNames<Cause>
  /** Types whose use does so. */
  readonly effectfulTypes: TypeFacts
  /** Relations that must be read on the primary. */
  readonly primaryRelations: RelationNames<true>
  /** Types whose use reads such a relation. */
  readonly primaryTypes: TypeFacts
  /** The tables known to be plain: an update, delete or merge that affects no row does nothing there. */
  readonly plainTables: PlainTables
  /** Whether a trigger may run within a commit, and so after every question that was asked before the commit. */
  readonly mayDefer: boolean
  /**
   * Whether a relation may have existed when the catalog was read. True for every name if the names of all relations
   * are not known.
   */
  mayHaveRelation(name: TableName): boolean
}

/** What is known before a server was asked: PostgreSQL's own functions. */
export const BUILT_IN_CATALOG: Catalog = {
  isCurrent: false,
  areRelationsRead: false,
  effectOf: builtInEffect,
  leavesNothing: () => false,
  hasLeavers: false,
  leftBy: builtInLeaves,
  isOpaque: () => false,
  becauseOf: () => undefined,
  effectfulRelations: NO_RELATIONS.effectful,
  effectfulTypes: NO_RELATIONS.types,
  primaryRelations: NO_RELATIONS.onPrimary,
  primaryTypes: NO_RELATIONS.typesOnPrimary,
  plainTables: NO_RELATIONS.plain,
  mayDefer: NO_RELATIONS.mayDefer,
  mayHaveRelation: () => true,
}

/** The catalog of a server: what it says of its functions and, once they were read, of its relations. */
export function catalogOf(
  functions: FunctionFacts,
  relations: RelationFacts = NO_RELATIONS,
  isCurrent = true,
): Catalog {
  const { callers, readers, known } = relations
  return {
    isCurrent,
    areRelationsRead: relations.areRead,
    effectOf: (call) => {
      const effect = functions.effectOf(call)
      if (functions.isColumn(call) || effect === 'sequence') return effect
      const key = keyOf(call)
      const caller = callers.get(key)
      if (caller?.advances === true) return 'sequence'
      if (effect === 'unknown' || effect === 'volatile') return effect
      if (caller !== undefined) return 'volatile'
      return effect === 'none' && readers.has(key) ? 'primary-table' : effect
    },
    hasLeavers: functions.hasLeavers,
    leftBy: (call) => functions.leftBy(call),
    leavesNothing: (call) =>
      functions.isColumn(call) || (!functions.isOwn(call) && isKnownToLeaveNothing(call)),
    isOpaque: (call) => functions.isOpaque(call),
    becauseOf: (call) => functions.becauseOf(call) ?? callers.get(keyOf(call))?.because,
    effectfulRelations: relations.effectful,
    effectfulTypes: relations.types,
    primaryRelations: relations.onPrimary,
    primaryTypes: relations.typesOnPrimary,
    plainTables: relations.plain,
    mayDefer: relations.mayDefer,
    mayHaveRelation: (name) => known?.has(name) !== false,
  }
}

function builtInEffect(call: FunctionCall): CallEffect {
  if (call.schema !== undefined && call.schema !== 'pg_catalog') return 'unknown'
  const known = knownEffect(call.name)
  if (known !== undefined) return known
  return isBuiltIn(call) || isSyntax(call) ? 'none' : 'unknown'
}

/** What PostgreSQL's own functions leave, such as a lock, is known by their names, so it does not count here. */
function builtInLeaves(call: FunctionCall): Leaves {
  const isOwn = call.schema === undefined || call.schema === 'pg_catalog'
  const isKnown = isKnownToLeaveNothing(call) || (isOwn && knownEffect(call.name) !== undefined)
  return isKnown ? LEAVES_NOTHING : MAY_BIND
}

function isKnownToLeaveNothing(call: FunctionCall): boolean {
  if (isSyntax(call)) return true
  if (call.schema !== undefined && call.schema !== 'pg_catalog') return false
  return isBuiltIn(call) || HARMLESS_FUNCTIONS.has(call.name)
}

function isBuiltIn({ name }: FunctionCall): boolean {
  return BUILT_IN_FUNCTIONS.has(name) || BUILT_IN_TYPES.has(name)
}
