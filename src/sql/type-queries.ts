import {
  DEFAULTS_AND_TREE,
  FIRST_OWN_OID,
  NOT_TEMPORARY,
  OF_POLICY,
  POLICY,
  RUNS_TEXT,
  STEPS,
  treeCalls,
} from './catalog-queries.ts'

/**
 * The questions that a server is asked about its types:
 *
 * - Which types have an operator, a cast or a check that calls a function?
 * - Which names in a text give a value of such a type?
 *
 * `pg_depend` has nothing on PostgreSQL's own types, and no name in a text shows that they are used.
 */

/** An object that calls a function although the text has no call of it. It is used with values of some types. */
export interface UseRow {
  readonly kind: 'operator' | 'cast' | 'support' | 'column' | 'domain'
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** The `oid` of the function. */
  readonly on: string
  /** A use needs at least one of these types. PostgreSQL's own types are left out. */
  readonly types: readonly string[]
  /**
   * Whether a use needs no name of a type. For an operator: its sign alone shows the use. For a cast: it is implicit.
   * For a column: it takes any row. Always true for the support function of an operator class, and false for a
   * domain.
   */
  readonly is_plain: boolean
}

const SPACE = 'pg_catalog.pg_namespace n on n.oid ='

/**
 * The objects that call one of the functions $1 without a parenthesis after its name: operators, also those of an
 * operator class that the function supports; casts; functions of a row that are read like a column; domains, by a
 * constraint.
 */
export const USES_QUERY = `
with uses(kind, oid, schema, name, "on", of, is_plain) as (
  select 'operator', o.oid, n.nspname, o.oprname, o.oprcode::oid, array[o.oprleft, o.oprright], not exists (
    select from pg_catalog.pg_operator b where b.oprname = o.oprname and b.oid < ${FIRST_OWN_OID})
  from pg_catalog.pg_operator o join ${SPACE} o.oprnamespace
  where o.oprcode::oid = any($1::oid[]) and o.oid >= ${FIRST_OWN_OID}
  union all
  select 'operator', o.oid, n.nspname, o.oprname, s.amproc::oid, array[m.amoplefttype, m.amoprighttype], false
  from pg_catalog.pg_amproc s join pg_catalog.pg_amop m on m.amopfamily = s.amprocfamily
  join pg_catalog.pg_operator o on o.oid = m.amopopr join ${SPACE} o.oprnamespace
  where s.amproc::oid = any($1::oid[]) and s.oid >= ${FIRST_OWN_OID} and o.oid >= ${FIRST_OWN_OID}
  union all
  select 'support', s.oid, '', '', s.amproc::oid, array[s.amproclefttype, s.amprocrighttype], true
  from pg_catalog.pg_amproc s
  where s.amproc::oid = any($1::oid[]) and s.oid >= ${FIRST_OWN_OID}
  union all
  select 'cast', c.oid, n.nspname, t.typname, c.castfunc,
    array[case when c.castsource >= ${FIRST_OWN_OID} then c.castsource else c.casttarget end], c.castcontext = 'i'
  from pg_catalog.pg_cast c join pg_catalog.pg_type t on t.oid = c.casttarget join ${SPACE} t.typnamespace
  where c.castfunc = any($1::oid[]) and c.oid >= ${FIRST_OWN_OID}
  union all
  select 'column', p.oid, n.nspname, p.proname, p.oid, array[t.oid], t.oid < ${FIRST_OWN_OID}
  from pg_catalog.pg_proc p join ${SPACE} p.pronamespace
  join pg_catalog.pg_type t on t.oid = p.proargtypes[0]
  where p.oid = any($1::oid[]) and p.pronargs - p.pronargdefaults <= 1 and p.prokind = 'f' and n.nspname <> 'pg_catalog'
    and (t.typtype = 'c'
      or t.typname in ('record', 'any', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray'))
    and not exists (select from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attname = p.proname)
  union all
  select 'domain', t.oid, n.nspname, t.typname, callee::oid, array[t.oid], false
  from pg_catalog.pg_constraint k join pg_catalog.pg_type t on t.oid = k.contypid join ${SPACE} t.typnamespace
  cross join lateral (
    select distinct pg_catalog.split_part(piece, ' ', 1) as callee
    from pg_catalog.unnest(pg_catalog.string_to_array(k.conbin::text, 'funcid ')) piece) calls
  where k.contypid >= ${FIRST_OWN_OID} and callee = any($1::oid[]::text[])
)
select kind, oid::text, schema::text, name::text, "on"::text,
  array(select of_type::text from pg_catalog.unnest(of) of_type where of_type >= ${FIRST_OWN_OID}) as types,
  is_plain
from uses`

/** The domains with a constraint that uses one of the types $1. */
export const CHECKING_DOMAINS_QUERY = `
select distinct t.oid::text, n.nspname::text as schema, t.typname::text as name, d.refobjid::text as on
from pg_catalog.pg_depend d join pg_catalog.pg_constraint k on k.oid = d.objid
join pg_catalog.pg_type t on t.oid = k.contypid join ${SPACE} t.typnamespace
where d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
  and d.refobjid = any($1::oid[]) and d.refobjid <> k.contypid and k.contypid <> 0`

/** A name that gives a value of a type, or something that holds such a value. */
export interface HolderRow {
  readonly kind: 'type' | 'function'
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** The type that the question is about. */
  readonly root: string
  /**
   * Whether it holds such a value only as a column of a relation, such as a table or a view. The type of a row has
   * the name of its relation.
   */
  readonly is_row: boolean
  /** Whether it holds such a value only as one of many: in an array, or as the bound of a range. */
  readonly is_many: boolean
}

/**
 * The objects that hold a value of one of the types $1: their domains, arrays, ranges and composite types; relations,
 * and those that inherit from them; everything that holds one of those types in turn; and the functions that take or
 * give one.
 */
export const HOLDERS_QUERY = `
with recursive held(root, type, is_row, is_many) as (
  select t.oid, t.oid, c.relkind <> 'c' is true, false
  from pg_catalog.pg_type t left join pg_catalog.pg_class c on c.oid = t.typrelid
  where t.oid = any($1::oid[])
  union
  select h.root, next.type, h.is_row or next.is_row, h.is_many or next.is_many
  from held h cross join lateral (
    select coalesce(c.reltype, t.oid) as type, c.relkind <> 'c' is true as is_row,
      (t.typcategory = 'A' or t.typtype in ('r', 'm')) is true as is_many
    from pg_catalog.pg_depend d
    left join pg_catalog.pg_class c on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.oid = d.objid
    left join pg_catalog.pg_type t on d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = d.objid
    where d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.refobjid = h.type
      and coalesce(c.reltype, t.oid) <> 0
    union all
    select c.reltype, true, false
    from pg_catalog.pg_type t join pg_catalog.pg_inherits i on i.inhparent = t.typrelid
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where t.oid = h.type and t.typrelid <> 0 and c.reltype <> 0
  ) next
)
select distinct 'type' as kind, t.oid::text, n.nspname::text as schema, t.typname::text as name, h.root::text, h.is_row, h.is_many
from held h join pg_catalog.pg_type t on t.oid = h.type join ${SPACE} t.typnamespace
where ${NOT_TEMPORARY}
union all
select distinct 'function', p.oid::text, n.nspname::text, p.proname::text, h.root::text, h.is_row, h.is_many
from held h
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.refobjid = h.type
  and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
join pg_catalog.pg_proc p on p.oid = d.objid join ${SPACE} p.pronamespace
where ${NOT_TEMPORARY}`

/**
 * A place where the catalog keeps expressions as trees: the query of a view, the conditions of a policy, or the body
 * of a function.
 */
interface Trees {
  readonly catalog: string
  readonly columns: string
  readonly from: string
  readonly tree: string
  /** The object that `pg_depend` lists. */
  readonly object: string
}

const VIEWS: Trees = {
  catalog: 'pg_rewrite',
  columns: 'c.oid::text, n.nspname::text as schema, c.relname::text as name',
  from: `pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind = 'v' and r.ev_type = '1'
  join ${SPACE} c.relnamespace`,
  tree: 'r.ev_action::text',
  object: 'r.oid',
}

/** Tables with row security. */
const POLICIES: Trees = {
  catalog: 'pg_policy',
  columns: `${POLICY}, p.polcmd in ('r', '*') and p.polqual is not null as is_read`,
  from: `pg_catalog.pg_policy p ${OF_POLICY} and c.relrowsecurity`,
  tree: "pg_catalog.concat(p.polqual::text, ' ', p.polwithcheck::text)",
  object: 'p.oid',
}

/** Its body as a tree. PostgreSQL 13 has no such column. */
const SQL_BODY = `(pg_catalog.to_jsonb(p) ->> 'prosqlbody')`

const FUNCTIONS: Trees = {
  catalog: 'pg_proc',
  columns: 'p.oid::text, n.nspname::text as schema, p.proname::text as name',
  // 14 is the language `sql`: the others have no such body, and need no look into their row.
  from: `pg_catalog.pg_proc p join ${SPACE} p.pronamespace and p.provolatile <> 'v' and p.prolang = 14 and ${SQL_BODY} is not null`,
  tree: SQL_BODY,
  object: 'p.oid',
}

/**
 * The objects that use one of the types $1 or functions $2, and compare values in a way that `pg_depend` does not
 * show:
 *
 * - `greatest` and `least` of such a type.
 * - PostgreSQL's operators of any row, array or range. They compare by the operators of the elements. `distinct` uses
 *   them, too.
 * - A function that makes a range: it compares the bounds.
 */
const comparingQuery = ({ catalog, columns, from, tree, object }: Trees) => `
with used(object, "on") as (
  select d.objid, t.oid from pg_catalog.pg_type t
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and (
    d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.refobjid = t.oid
    or d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = t.typrelid and t.typrelid <> 0)
  where t.oid = any($1::oid[])
  union all
  select d.objid, d.refobjid from pg_catalog.pg_depend d
  where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    and d.refobjid = any($2::oid[])
)
select distinct on (u.object) ${columns}, u."on"::text
from used u join (${from}) on ${object} = u.object
cross join lateral (select ${tree} as tree) its
where exists (
    select from pg_catalog.unnest(pg_catalog.string_to_array(its.tree, ':minmaxtype ')) piece
    where pg_catalog.split_part(piece, ' ', 1) = any($1::text[]))
  or exists (
    select from pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.replace(pg_catalog.replace(
      its.tree, ':eqop ', ':opno '), ':sortop ', ':opno '), ':opno ')) piece
    where pg_catalog.split_part(piece, ' ', 1) in (
      select o.oid::text from pg_catalog.pg_operator o join pg_catalog.pg_type t on t.oid in (o.oprleft, o.oprright)
      where o.oid < ${FIRST_OWN_OID} and t.typtype = 'p'))
  or u."on" in (
    select p.oid from pg_catalog.pg_proc p
    where p.oid = any($2::oid[]) and p.prolang = 12 and p.prosrc ~ '^(multi)?range_constructor')`

/**
 * The objects with a `json_value(… returning …)`, or the like, of one of the types $1. `pg_depend` does not list that
 * type.
 */
const returningQuery = ({ columns, from, tree }: Trees) => `
select distinct ${columns}, types.type as "on"
from ${from}
cross join lateral (
  select pg_catalog.split_part(piece, ' ', 1) as type
  from pg_catalog.unnest(pg_catalog.string_to_array(${tree}, ':typid ')) piece) types
where pg_catalog.strpos(${tree}, '{JSONRETURNING ') > 0 and types.type = any($1::text[])`

/** For views, and for tables with policies. */
export const COMPARING_QUERIES = [VIEWS, POLICIES].map(comparingQuery)
export const RETURNING_QUERIES = [VIEWS, POLICIES].map(returningQuery)
/** For functions. */
export const RETURNING_FUNCTIONS_QUERY = returningQuery(FUNCTIONS)

/** SQL: the characters that end a word in the body of a function. */
export const SIGNS = String.raw`E' \t\n\r()[]{};,.:"\'=+-*/<>~!@#%^&|${'`'}?$\\'`

/**
 * Whether a name has one of these characters in it, so that it is no word. It is then searched for as a text writes
 * it.
 */
export const isNoWord = (name: string): boolean => /[\s()[\]{};,.:"'=+\-*/<>~!@#%^&|`?$\\]/.test(name)

/**
 * The application's functions that may advance a sequence:
 *
 * - They have one of the words $1, or one of the other names $3, in their texts.
 * - They call one of $2 in their tree, in a default, or as a step of an aggregate.
 * - They run a text that they are given.
 * - They are volatile, and run a text that they build, or cannot be read.
 */
export const ADVANCING_QUERY = `
select p.oid::text, pg_catalog.lower(p.proname) as name, p.provolatile = 'v' as is_volatile
from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
where p.oid >= ${FIRST_OWN_OID} and p.prokind in ('f', 'w', 'a')
  and (p.provolatile = 'v' and (l.lanname not in ('sql', 'plpgsql') or p.prosrc ~~* '%u&"%') or ${RUNS_TEXT}
    or exists (
      select from pg_catalog.unnest(pg_catalog.string_to_array(
        pg_catalog.translate(pg_catalog.lower(p.prosrc), ${SIGNS}, pg_catalog.repeat(' ', 40)), ' ')) word
      where word = any($1::text[]) and (p.provolatile = 'v' or word <> 'execute'))
    or exists (select from pg_catalog.unnest($3::text[]) as name where pg_catalog.strpos(pg_catalog.lower(p.prosrc), name) > 0)
    or (p.prosrc = '' or p.proargdefaults is not null)
      and ${treeCalls(DEFAULTS_AND_TREE, '$2')}
    or exists (
      select from pg_catalog.pg_aggregate a
      where a.aggfnoid = p.oid and array[${STEPS}]::oid[]::text[] && $2::text[]))
  and not exists (
    select from pg_catalog.pg_depend e
    where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e')`

/**
 * The names of the application's functions that are declared stable or immutable, and build the text that they run,
 * or are in a language that is not read here. Their declaration is believed, but nothing vouches for them.
 */
export const OPAQUE_QUERY = `
select distinct p.proname::text as name
from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
where p.oid >= ${FIRST_OWN_OID} and p.prokind in ('f', 'w') and p.provolatile <> 'v'
  and (l.lanname not in ('sql', 'plpgsql', 'internal') or l.lanname = 'plpgsql' and p.prosrc ~~* '%execute%')
  and not exists (
    select from pg_catalog.pg_depend e
    where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e')`
