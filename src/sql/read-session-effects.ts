import { type Ask, DEFAULTS_AND_TREE, IS_OWN, NOT_TEMPORARY, treeCalls } from './catalog-queries.ts'
import type { FunctionFacts } from './function-facts.ts'
import { SIGNS } from './type-queries.ts'

/** A function of the application, or a table with a trigger, that may leave something in the session. */
export interface SessionEffectRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** Whether it may leave a setting. */
  readonly sets: boolean
  /**
   * Whether it may leave something that no other session has, such as a lock, a temporary table or a channel. Also
   * true if its body cannot be read.
   */
  readonly binds: boolean
}

/** How many calls deep functions are followed. Deeper calls do not occur in practice. */
const MAX_DEPTH = 20

/**
 * Reads which objects may leave something in the session: functions, by the words in their texts; functions that call
 * one of those; and tables with a trigger that calls one, because a write names only the table.
 */
export async function readSessionEffects(ask: Ask, facts: FunctionFacts): Promise<void> {
  let found = await ask<SessionEffectRow>(SESSION_EFFECTS_QUERY, [])
  const all: SessionEffectRow[] = []
  for (let depth = 0; found.length > 0 && depth < MAX_DEPTH; depth++) {
    const added = found.filter((each) => facts.addSessionEffect(each))
    if (added.length === 0) break
    all.push(...added)
    found = await ask<SessionEffectRow>(CALLERS_QUERY, columnsOf(added))
  }
  if (all.length === 0) return
  for (const table of await ask<SessionEffectRow>(TRIGGERED_QUERY, columnsOf(all)))
    facts.addSessionEffect(table)
}

function columnsOf(rows: readonly SessionEffectRow[]): unknown[] {
  return (['oid', 'name', 'sets', 'binds'] as const).map((key) => rows.map((each) => each[key]))
}

const CALLED_COLUMNS = `rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::bool[]),
  pg_catalog.unnest($4::bool[])) as called(oid, name, sets, binds)`

const OWN_FUNCTIONS = `pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    join pg_catalog.pg_language l on l.oid = p.prolang
  where p.oid >= 16384 and ${NOT_TEMPORARY} and ${IS_OWN}`

/** SQL: whether some calls of a function are stored as a tree: it has no text, or its parameters have defaults. */
const HAS_TREE = `(p.prosrc = '' or p.proargdefaults is not null)`
const treeCallsOne = (oids: string) => `${HAS_TREE} and ${treeCalls(DEFAULTS_AND_TREE, oids)}`

const CALLED = (functions: readonly string[]) =>
  treeCallsOne(
    `array[${functions.map((each) => `'pg_catalog.${each}'::pg_catalog.regprocedure::oid::text`)}]`,
  )

// What `set_config(…, true)` sets ends with the transaction. A statement begins after a semicolon, a quote, or a word
// of PL/pgSQL.
const SESSION_EFFECTS_QUERY = `
select * from (
  select p.oid::text, n.nspname::text as schema, p.proname::text as name,
    pg_catalog.regexp_replace(p.prosrc, 'set_config\\s*\\([^;]*?,\\s*true\\s*\\)', '', 'gi') ~* '\\yset_config\\y'
      or p.prosrc ~* '(^|;|''|\\y(begin|then|else|loop)\\y)\\s*(set|reset|discard)\\s+(?!(local|transaction|constraints)\\y)'
      or ${CALLED(['set_config(text, text, bool)'])} as sets,
    l.lanname not in ('sql', 'plpgsql', 'internal')
      or p.prosrc ~* '\\y(temp|temporary|pg_temp\\w*|listen|prepare|load|execute|call|setseed|pg_(try_)?advisory_lock(_shared)?)\\y'
      or ${CALLED(['pg_advisory_lock(bigint)', 'pg_advisory_lock(int, int)', 'pg_try_advisory_lock(bigint)', 'pg_try_advisory_lock(int, int)'])} as binds
  from ${OWN_FUNCTIONS}) as own
where sets or binds`

/**
 * The functions that have the name of one of these functions as a word in their texts, or its identifier in their
 * trees. One function too many does no harm.
 */
const CALLERS_QUERY = `
select own.oid, own.schema, own.name, pg_catalog.bool_or(called.sets) as sets, pg_catalog.bool_or(called.binds) as binds
from (
  select distinct p.oid::text, n.nspname::text as schema, p.proname::text as name, word
  from ${OWN_FUNCTIONS.replace(
    'where',
    `cross join lateral pg_catalog.unnest(pg_catalog.string_to_array(
    pg_catalog.translate(pg_catalog.lower(pg_catalog.concat(p.prosrc, ' ', case when ${HAS_TREE} then ${DEFAULTS_AND_TREE} end)),
      ${SIGNS}, pg_catalog.repeat(' ', 40)), ' ')) as words(word)
  where`,
  )}) as own
  join (
    select key, pg_catalog.bool_or(sets) as sets, pg_catalog.bool_or(binds) as binds
    from ${CALLED_COLUMNS}, pg_catalog.unnest(array[pg_catalog.lower(called.name), called.oid]) as key group by 1
  ) as called on called.key = own.word
group by 1, 2, 3`

/** The tables with a trigger that calls one of these functions. */
const TRIGGERED_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name,
  pg_catalog.bool_or(called.sets) as sets, pg_catalog.bool_or(called.binds) as binds
from ${CALLED_COLUMNS}
  join pg_catalog.pg_trigger t on t.tgfoid = called.oid::oid
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
group by 1, 2, 3`
