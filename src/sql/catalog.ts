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

/** What the functions and relations of one database do, by name: a function counts as the worst of its overloads. */
export interface Catalog {
  /** Whether all of it was read, and nothing has told since that it is out of date: then what it does not name is harmless. */
  readonly isCurrent: boolean
  /** Whether what relations and types do has been read at all. */
  readonly areRelationsRead: boolean
  effectOf(call: FunctionCall): CallEffect
  /** Whether it is known to leave nothing in the session (a setting, a lock), also where it is the statement's end. */
  leavesNothing(call: FunctionCall): boolean
  /** Whether any function of the application's leaves something in its session. */
  readonly hasLeavers: boolean
  /** What it may leave in its session that nobody could follow. */
  leftBy(call: FunctionCall): Leaves
  /** Whether nobody can vouch for it, though its declaration calls it harmless: it runs a text, say. */
  isOpaque(call: FunctionCall): boolean
  /** What a function calls or reads that makes it do more than it declares; undefined where its declaration says so itself. */
  becauseOf(call: FunctionCall): string | undefined
  /** Relations whose reading calls a function that may do more than read, or leaves the server. */
  readonly effectfulRelations: RelationNames<Cause>
  /** Types whose use does. */
  readonly effectfulTypes: TypeFacts
  /** Relations that are to be read on the primary. */
  readonly primaryRelations: RelationNames<true>
  /** Types whose use reads such a relation. */
  readonly primaryTypes: TypeFacts
  /** The tables of which it is known that an update, delete or merge of no row does nothing to them. */
  readonly plainTables: PlainTables
  /** Whether a trigger may run with a commit, behind all that is asked before it. */
  readonly mayDefer: boolean
  /** Whether a relation may be one that was there when the catalog was read; any may be where the names of all are not known. */
  mayHaveRelation(name: TableName): boolean
}

/** What is known before any server has been asked: PostgreSQL's own functions. */
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

/** The catalog of a server: what it says of its functions and, where that has been read by then, of its relations. */
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

/** What PostgreSQL's own leave, a lock say, is told by their names. */
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
