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
import type { NameMap, TableName } from './table-names.ts'
import type { TypeFacts } from './type-facts.ts'

/** The effects of the functions and relations of one database, by name. The worst overload of a function counts. */
export interface Catalog {
  /**
   * Whether all of it was read, and nothing has shown since that it is out of date. If so, an object that it does not
   * name is harmless.
   */
  readonly isCurrent: boolean
  /** Whether the relations and types were read at all. */
  readonly areRelationsRead: boolean
  effectOf(call: FunctionCall): CallEffect
  /**
   * Whether a call is known to leave nothing (no setting, no lock) in the session, even if the statement fails in it.
   */
  leavesNothing(call: FunctionCall): boolean
  /** Whether any function of the application may leave something in its session. */
  readonly hasSessionEffects: boolean
  /** Whether a call may leave something in its session that this package cannot follow. */
  leftBy(call: FunctionCall): Leaves
  /**
   * Whether the function is declared stable or immutable, but runs something that cannot be read, such as a text that
   * it builds. Nothing vouches for such a call.
   */
  isOpaque(call: FunctionCall): boolean
  /**
   * Why a function counts as doing more than its declaration says: the object that it calls or reads. Undefined if
   * the declaration itself says it, or if it does no more.
   */
  becauseOf(call: FunctionCall): string | undefined
  /** Relations of which a read calls a function that may do more than read, or goes to another server. */
  readonly effectfulRelations: NameMap<Cause>
  /** Types of which a use calls such a function. */
  readonly effectfulTypes: TypeFacts
  /** Relations that must be read on the primary. */
  readonly primaryRelations: NameMap<true>
  /** Types of which a use reads such a relation. */
  readonly primaryTypes: TypeFacts
  /** The tables known to be plain: an update, delete or merge that affects no row does nothing there. */
  readonly plainTables: PlainTables
  /** Whether a trigger may run within a commit, and so after the questions that are asked right before the commit. */
  readonly mayDefer: boolean
  /**
   * Whether a relation may have existed when the catalog was read. True for every name if the list of all relations
   * is not known.
   */
  mayHaveRelation(name: TableName): boolean
}

/** The catalog before a server was asked: PostgreSQL's own functions. */
export const BUILT_IN_CATALOG: Catalog = {
  isCurrent: false,
  areRelationsRead: false,
  effectOf: builtInEffect,
  leavesNothing: () => false,
  hasSessionEffects: false,
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

/** The catalog of a server: the facts on its functions and, once they were read, on its relations. */
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
    hasSessionEffects: functions.hasSessionEffects,
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

/**
 * PostgreSQL's own functions that leave something, such as a lock, are known by their names and handled elsewhere.
 * Here they count as leaving nothing.
 */
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
