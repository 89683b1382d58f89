import { BUILT_IN_FUNCTIONS } from './built-in-functions.ts'
import { HARMLESS_FUNCTIONS, REFUSED_FUNCTIONS, SESSION_FUNCTIONS } from './harmless-functions.ts'
import { type FunctionCall, readStatementText } from './statement-text.ts'

/** What a call does to the route of its statement. */
export type CallEffect = 'none' | 'session' | 'volatile' | 'unknown'

/** Functions, grouped: one row per schema and volatility. */
export interface FunctionRow {
  readonly schema: string
  readonly is_volatile: boolean
  readonly names: readonly string[]
}

/** A relation whose reading may do more than read, and the text that tells; without text it surely does. */
export interface RelationRow {
  readonly name: string
  readonly definition: string | null
}

/** What the functions of one database do, by name: its overloads count as the worst of them. */
export interface Catalog {
  /** Whether it was read from a server. */
  readonly isFromServer: boolean
  effectOf(call: FunctionCall): CallEffect
  /** Relations, in lower case, whose reading calls a volatile function or leaves the server. */
  readonly effectfulRelations: ReadonlySet<string>
}

/** What is known before any server has been asked: PostgreSQL's own functions. */
export const BUILT_IN_CATALOG: Catalog = {
  isFromServer: false,
  effectOf: (call) => knownEffect(call) ?? builtInEffect(call),
  effectfulRelations: new Set(),
}

/** The rows of the functions of a database; any role may read them (https://www.postgresql.org/docs/current/catalog-pg-proc.html). */
export const FUNCTIONS_QUERY = `
select n.nspname as schema, p.provolatile = 'v' as is_volatile, array_agg(distinct p.proname::text) as names
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.prokind <> 'p' and n.nspname !~ '^pg_(temp|toast_temp)_'
group by 1, 2`

/**
 * The relations that may do more than read: views, by their definitions; tables with row security, by their policies;
 * foreign tables and what has them as children; and names by which a function of a row can be called like a column.
 */
export const RELATIONS_QUERY = `
with recursive leaving(oid) as (
  select c.oid from pg_catalog.pg_class c where c.relkind = 'f'
  union
  select i.inhparent from pg_catalog.pg_inherits i join leaving l on i.inhrelid = l.oid
)
select c.relname::text as name, null as definition
from pg_catalog.pg_class c join leaving l on l.oid = c.oid
union all
select c.relname::text, pg_catalog.pg_get_viewdef(c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and n.nspname not in ('pg_catalog', 'information_schema')
union all
select c.relname::text, 'select ' || coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'true')
from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
union all
select p.proname::text, null
from pg_catalog.pg_proc p join pg_catalog.pg_type t on t.oid = p.proargtypes[0]
where p.pronargs = 1 and p.provolatile = 'v' and p.prokind = 'f' and t.typtype = 'c'`

/** The catalog of a server, from the rows of {@link FUNCTIONS_QUERY} and {@link RELATIONS_QUERY}. */
export function catalogOf(functions: readonly FunctionRow[], relations: readonly RelationRow[]): Catalog {
  const volatile = new Set<string>()
  const all = new Set<string>()
  for (const { schema, is_volatile, names } of functions) {
    for (const name of names) {
      for (const key of [name, `${schema}.${name}`]) {
        all.add(key)
        if (is_volatile) volatile.add(key)
      }
    }
  }
  const effectOf = (call: FunctionCall): CallEffect => {
    const known = knownEffect(call)
    if (known !== undefined) return known
    const key = call.schema === undefined ? call.name : `${call.schema}.${call.name}`
    if (volatile.has(key)) return 'volatile'
    return all.has(key) || isSyntax(call) ? 'none' : 'unknown'
  }
  return { isFromServer: true, effectOf, effectfulRelations: effectfulRelations(relations, effectOf) }
}

/** Views over effectful views are effectful too, so the search goes on until it finds no more. */
function effectfulRelations(relations: readonly RelationRow[], effectOf: Catalog['effectOf']): Set<string> {
  const found = new Set<string>()
  let open = relations
  let size = -1
  while (size !== found.size) {
    size = found.size
    open = open.filter(({ name, definition }) => {
      const isEffectful = definition === null || doesMoreThanRead(definition, found, effectOf)
      if (isEffectful) found.add(name.toLowerCase())
      return !isEffectful
    })
  }
  return found
}

function doesMoreThanRead(
  definition: string,
  found: ReadonlySet<string>,
  effectOf: Catalog['effectOf'],
): boolean {
  const { kind, calls, watched } = readStatementText(definition, found)
  return kind !== 'read' || watched.length > 0 || calls.some((call) => effectOf(call) !== 'none')
}

function knownEffect({ schema, name }: FunctionCall): CallEffect | undefined {
  // These lists are of `pg_catalog` and of well-known extensions, which may lie in any schema.
  if (SESSION_FUNCTIONS.has(name)) return 'session'
  if (REFUSED_FUNCTIONS.has(name)) return 'volatile'
  if (
    HARMLESS_FUNCTIONS.has(name) &&
    (schema === undefined || schema === 'pg_catalog' || schema === 'public')
  )
    return 'none'
  return undefined
}

function builtInEffect(call: FunctionCall): CallEffect {
  const isBuiltIn = call.schema === undefined || call.schema === 'pg_catalog'
  if (isBuiltIn && BUILT_IN_FUNCTIONS.has(call.name)) return 'none'
  return isSyntax(call) ? 'none' : 'unknown'
}

// `over (`, `by (`, `filter (`: syntax, unless somebody has made a function of that name.
function isSyntax({ schema, isKeyWord }: FunctionCall): boolean {
  return schema === undefined && isKeyWord
}
