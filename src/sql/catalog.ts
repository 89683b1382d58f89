import { BUILT_IN_FUNCTIONS } from './built-in-functions.ts'
import type { FunctionRow, RelationRow } from './catalog-queries.ts'
import { HARMLESS_FUNCTIONS, REFUSED_FUNCTIONS, SESSION_FUNCTIONS } from './harmless-functions.ts'
import { readStatementText } from './statement-reader.ts'
import type { FunctionCall } from './statement-text.ts'
import { Watch } from './watch.ts'

export { FUNCTIONS_QUERY, type FunctionRow, RELATIONS_QUERY, type RelationRow } from './catalog-queries.ts'

/** What a call does to the route of its statement. */
export type CallEffect = 'none' | 'session' | 'volatile' | 'unknown'

/** What the functions of one database do, by name: its overloads count as the worst of them. */
export interface Catalog {
  /** Whether it was read from a server. */
  readonly isFromServer: boolean
  effectOf(call: FunctionCall): CallEffect
  /** Whether it is known to leave nothing in the session (a setting, a lock), also where it is the statement's end. */
  leavesNothing(call: FunctionCall): boolean
  /** Names of relations whose reading calls a volatile function or leaves the server. */
  readonly effectfulRelations: ReadonlySet<string>
  /** Those that can be read on the primary only. */
  readonly primaryRelations: ReadonlySet<string>
}

/** What is known before any server has been asked: PostgreSQL's own functions. */
export const BUILT_IN_CATALOG: Catalog = {
  isFromServer: false,
  effectOf: builtInEffect,
  leavesNothing: () => false,
  effectfulRelations: new Set(),
  primaryRelations: new Set(),
}

/** The catalog of a server, from the rows of {@link FUNCTIONS_QUERY} and {@link RELATIONS_QUERY}. */
export function catalogOf(functions: readonly FunctionRow[], relations: readonly RelationRow[]): Catalog {
  const all = new Set<string>()
  const volatile = new Set<string>()
  const own = new Set<string>()
  const ownVolatile = new Set<string>()
  for (const { schema, is_volatile, is_own = false, names } of functions) {
    for (const name of names) {
      for (const key of [name, `${schema}.${name}`]) {
        all.add(key)
        if (is_volatile) volatile.add(key)
        if (is_own) own.add(key)
        if (is_volatile && is_own) ownVolatile.add(key)
      }
    }
  }
  const effectOf = (call: FunctionCall): CallEffect => {
    const key = keyOf(call)
    // An application's function may be named like one that is known, and do anything.
    if (ownVolatile.has(key)) return 'volatile'
    if (all.has(key)) return knownEffect(call) ?? (volatile.has(key) ? 'volatile' : 'none')
    return isSyntax(call) ? 'none' : 'unknown'
  }
  const isEffectful: Test = ({ definition, is_unlogged = false }, found) =>
    !is_unlogged && (definition === null || doesMoreThanRead(definition, found, effectOf))
  const isOnPrimary: Test = ({ definition, is_unlogged = false }, found) =>
    is_unlogged || (definition !== null && readStatementText(definition, found).watched.length > 0)
  return {
    isFromServer: true,
    effectOf,
    leavesNothing: (call) => !own.has(keyOf(call)) && isKnownToLeaveNothing(call),
    effectfulRelations: namesOf(relations, isEffectful),
    primaryRelations: namesOf(relations, isOnPrimary),
  }
}

type Test = (relation: RelationRow, found: Watch) => boolean

/** The relations that pass; views over them may do so too, so the search goes on until it finds no more. */
function namesOf(relations: readonly RelationRow[], test: Test): Set<string> {
  const found = new Set<string>()
  const watch = new Watch()
  let open = relations
  let size = -1
  while (size !== found.size) {
    size = found.size
    open = open.filter((relation) => {
      const isOne = test(relation, watch)
      if (isOne) {
        found.add(relation.name).add(relation.name.toLowerCase())
        watch.add(relation.name)
      }
      return !isOne
    })
  }
  return found
}

function doesMoreThanRead(definition: string, found: Watch, effectOf: Catalog['effectOf']): boolean {
  const { kind, calls, watched } = readStatementText(definition, found)
  return kind !== 'read' || watched.length > 0 || calls.some((call) => effectOf(call) !== 'none')
}

/** What lists tell, of PostgreSQL's functions and of those of well-known extensions. */
function knownEffect({ name }: FunctionCall): CallEffect | undefined {
  if (SESSION_FUNCTIONS.has(name)) return 'session'
  if (REFUSED_FUNCTIONS.has(name)) return 'volatile'
  return HARMLESS_FUNCTIONS.has(name) ? 'none' : undefined
}

function builtInEffect(call: FunctionCall): CallEffect {
  if (call.schema !== undefined && call.schema !== 'pg_catalog') return 'unknown'
  const known = knownEffect(call)
  if (known !== undefined) return known
  return BUILT_IN_FUNCTIONS.has(call.name) || isSyntax(call) ? 'none' : 'unknown'
}

function isKnownToLeaveNothing(call: FunctionCall): boolean {
  if (isSyntax(call)) return true
  if (call.schema !== undefined && call.schema !== 'pg_catalog') return false
  return BUILT_IN_FUNCTIONS.has(call.name) || HARMLESS_FUNCTIONS.has(call.name)
}

function keyOf({ schema, name }: FunctionCall): string {
  return schema === undefined ? name : `${schema}.${name}`
}

// `over (`, `by (`, `filter (`: syntax, unless somebody has made a function of that name.
function isSyntax({ schema, isKeyWord }: FunctionCall): boolean {
  return schema === undefined && isKeyWord
}
