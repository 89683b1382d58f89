/**
 * What is asked of a server about its functions and relations; any role may read these catalogs. The server does the work, by object
 * identifiers: which view calls which function it knows from `pg_depend`
 * (https://www.postgresql.org/docs/current/catalog-pg-depend.html), except for functions of its own, which stand in the tree of the
 * view's query only. Each question is about a page of at most so many objects, so that none takes long.
 */

/** Functions of a page, grouped: one row per schema, volatility and origin. */
export interface FunctionRow {
  readonly schema: string
  readonly is_volatile: boolean
  /** Whether they are neither PostgreSQL's nor an extension's. */
  readonly is_own: boolean
  readonly oids: readonly string[]
  readonly names: readonly string[]
  /** The last object of the page. */
  readonly last?: string
}

/** Types of a page, by their schemas. */
export interface TypeRow {
  readonly schema: string
  readonly names: readonly string[]
  /** The last object of the page. */
  readonly last?: string
}

/** The text of a function of the application's that is declared stable or immutable. */
export interface BodyRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly body: string
  /** The last object of the page: this one. */
  readonly last?: string
}

/** What hangs on something else: it calls that function, reads that relation. */
export interface DependentRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** On what. */
  readonly on: string
  /** The policy by which it does. */
  readonly policy?: string
  /** Whether that policy is one of those that are asked when the table is read. */
  readonly is_read?: boolean
}

/** Relations of a page, grouped by their schemas. */
export interface TableRow {
  readonly schema: string
  readonly is_plain: boolean
  readonly oids: readonly string[]
  readonly names: readonly string[]
  readonly last: string
}

/** Objects that the first `initdb` made have no dependents in `pg_depend`, and lower identifiers than this. */
export const FIRST_OWN_OID = 16_384

/** Stands for the locking of rows among the functions of a tree. No number does: 0 is that of a function that a node does not use. */
export const LOCKS = 'locks'

const IS_OWN = `n.nspname <> 'pg_catalog' and not exists (
    select from pg_catalog.pg_depend e
    where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e')`
/**
 * Whether a tree calls one of some functions, or locks rows where {@link LOCKS} is among them. The calls are cut out of its text
 * (`:funcid 1574 :funcresulttype …`, `:opfuncid …`): a regular expression takes ten times as long.
 */
const treeCalls = (tree: string, oids: string) => `exists (
  select from pg_catalog.unnest(pg_catalog.string_to_array(
    pg_catalog.replace(${tree}, ':hasForUpdate true', 'funcid ${LOCKS} '), 'funcid ')) as cut(piece)
  where pg_catalog.split_part(cut.piece, ' ', 1) = any(${oids}::text[]))`
const NOT_TEMPORARY = `n.nspname !~ '^pg_(temp|toast_temp)_'`

/**
 * The functions behind $1 (https://www.postgresql.org/docs/current/catalog-pg-proc.html), $2 of them. An aggregate is declared
 * immutable whatever it does, so that the functions it is made of tell.
 */
export const FUNCTIONS_QUERY = `
with page as materialized (
  select p.* from pg_catalog.pg_proc p where p.oid > $1::oid order by p.oid limit $2::int
)
select n.nspname::text as schema,
  'v' in (p.provolatile, step.provolatile, final.provolatile) is true as is_volatile,
  ${IS_OWN} as is_own,
  array_agg(p.oid::text) as oids, array_agg(p.proname::text) as names,
  (select max(oid::bigint)::text from page) as last
from page p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
left join pg_catalog.pg_proc step on step.oid = a.aggtransfn
left join pg_catalog.pg_proc final on final.oid = a.aggfinalfn
where p.prokind <> 'p' and ${NOT_TEMPORARY}
group by 1, 2, 3
union all
select '', false, false, '{}', '{}', (select max(oid::bigint)::text from page)`

/** The types behind $1, $2 of them, to which a cast may be written like a call; nobody does so with rows, or with arrays of a type of one's own. */
export const TYPES_QUERY = `
with page as materialized (
  select t.oid, t.typname, t.typnamespace from pg_catalog.pg_type t
  where t.oid > $1::oid and t.typrelid = 0 and t.typtype <> 'p' and (t.typcategory <> 'A' or t.oid < ${FIRST_OWN_OID})
  order by t.oid limit $2::int
)
select n.nspname::text as schema, array_agg(t.typname::text) as names,
  (select max(oid::bigint)::text from page) as last
from page t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where ${NOT_TEMPORARY}
group by 1
union all
select '', '{}', (select max(oid::bigint)::text from page)`

/** The bodies, behind $1, of own functions that are not declared volatile, $2 of them; other languages are taken at their word. */
export const BODIES_QUERY = `
select p.oid::text, n.nspname::text as schema, p.proname::text as name, p.prosrc as body, p.oid::text as last
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where p.oid > $1::oid and p.oid >= ${FIRST_OWN_OID} and p.provolatile <> 'v' and p.prokind in ('f', 'w')
  and l.lanname in ('sql', 'plpgsql') and p.prosrc <> '' and ${NOT_TEMPORARY} and ${IS_OWN}
order by p.oid limit $2::int`

/**
 * The functions, declared stable or immutable, that call one of PostgreSQL's functions $1 in a body that is kept as a tree (from
 * PostgreSQL 14 on), or in the default of a parameter.
 */
export const TREE_CALLERS_QUERY = `
select p.oid::text, n.nspname::text as schema, p.proname::text as name, '' as body
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.oid >= ${FIRST_OWN_OID} and p.provolatile <> 'v' and p.prokind in ('f', 'w') and ${NOT_TEMPORARY}
  and (p.prosrc = '' or p.proargdefaults is not null)
  and ${treeCalls(`pg_catalog.concat(p.proargdefaults::text, ' ', pg_catalog.to_jsonb(p) ->> 'prosqlbody')`, '$1')}`

/** The functions, declared stable or immutable, that call one of $1 in their tree, in a default, or as a step of an aggregate. */
export const CALLERS_QUERY = `
select distinct p.oid::text, n.nspname::text as schema, p.proname::text as name, d.refobjid::text as on,
  ${IS_OWN} as is_own
from pg_catalog.pg_depend d join pg_catalog.pg_proc p on p.oid = d.objid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.refclassid = $2::pg_catalog.regclass
  and d.refobjid = any($1::oid[]) and d.deptype = 'n' and p.provolatile <> 'v' and ${NOT_TEMPORARY}
  and p.prosupport <> d.refobjid
  and (a.aggfnoid is null or d.refobjid in (a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggmfinalfn))`

/** The views that call or read one of $1. A materialized view is read as the table that it is. */
export const VIEWS_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, d.on::text
from (
  select d.objid, min(d.refobjid) as on from pg_catalog.pg_depend d
  where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.refclassid = $2::pg_catalog.regclass
    and d.refobjid = any($1::oid[]) and d.deptype = 'n'
  group by d.objid
) d
join pg_catalog.pg_rewrite r on r.oid = d.objid and r.ev_type = '1'
join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind = 'v'
join pg_catalog.pg_namespace n on n.oid = c.relnamespace`

const POLICY = `c.oid::text, n.nspname::text as schema, c.relname::text as name, p.polname::text as policy`
const OF_POLICY = `join pg_catalog.pg_class c on c.oid = p.polrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace`

/** The tables with row security, one of whose policies calls or reads one of $1. */
export const POLICIES_QUERY = `
select distinct ${POLICY}, d.refobjid::text as on,
  p.polcmd in ('r', '*') and p.polqual is not null
    and (p.polwithcheck is null or p.polqual::text ~ ('\\m' || d.refobjid || '\\M')) as is_read
from pg_catalog.pg_depend d join pg_catalog.pg_policy p on p.oid = d.objid ${OF_POLICY}
where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.refclassid = $2::pg_catalog.regclass
  and d.refobjid = any($1::oid[]) and d.deptype = 'n' and c.relrowsecurity`

/** The domains one of whose constraints calls one of $1: a cast to such a type does. */
export const DOMAINS_QUERY = `
select distinct t.oid::text, n.nspname::text as schema, t.typname::text as name, d.refobjid::text as on
from pg_catalog.pg_depend d join pg_catalog.pg_constraint k on k.oid = d.objid
join pg_catalog.pg_type t on t.oid = k.contypid join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.refclassid = $2::pg_catalog.regclass
  and d.refobjid = any($1::oid[]) and k.contypid <> 0`

/**
 * What else calls one of $1 without a parenthesis behind its name, by the kind of object: an operator, a cast to a type, a function of
 * a row that is read like a column.
 */
export const WITHOUT_CALL_QUERIES = {
  operator: `
select o.oid::text, n.nspname::text as schema, o.oprname::text as name, o.oprcode::oid::text as on
from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where o.oprcode::oid = any($1::oid[]) and o.oid >= ${FIRST_OWN_OID}`,
  type: `
select t.oid::text, n.nspname::text as schema, t.typname::text as name, c.castfunc::text as on
from pg_catalog.pg_cast c join pg_catalog.pg_type t on t.oid = c.casttarget
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where c.castfunc = any($1::oid[]) and c.oid >= ${FIRST_OWN_OID}`,
  column: `
select p.oid::text, n.nspname::text as schema, p.proname::text as name, p.oid::text as on
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type t on t.oid = p.proargtypes[0]
where p.oid = any($1::oid[]) and p.pronargs - p.pronargdefaults <= 1 and p.prokind = 'f' and n.nspname <> 'pg_catalog'
  and (t.typtype = 'c'
    or t.typname in ('record', 'any', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray'))`,
} as const

/** What has one of $1 as a part: partitioned tables, and tables with children. */
export const PARENTS_QUERY = `
select distinct c.oid::text, n.nspname::text as schema, c.relname::text as name, i.inhrelid::text as on
from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhparent
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.inhrelid = any($1::oid[]) and c.relkind in ('r', 'p', 'f')`

/** The parts of $1. */
export const CHILDREN_QUERY = `
select distinct c.oid::text, n.nspname::text as schema, c.relname::text as name, i.inhparent::text as on
from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.inhparent = any($1::oid[]) and c.relkind in ('r', 'p', 'f')`

/** The views behind $1, $2 of them, and which of them lock rows, or call one of PostgreSQL's functions $3. */
export const VIEW_TREES_QUERY = `
select max(p.oid::bigint)::text as last,
  coalesce(array_agg(c.oid::text) filter (where p.is_hit), '{}') as oids,
  coalesce(array_agg(n.nspname::text) filter (where p.is_hit), '{}') as schemas,
  coalesce(array_agg(c.relname::text) filter (where p.is_hit), '{}') as names
from (
  select r.oid, r.ev_class, ${treeCalls('r.ev_action::text', '$3')} as is_hit
  from pg_catalog.pg_rewrite r
  where r.oid > $1::oid and r.oid >= ${FIRST_OWN_OID} and r.ev_type = '1' order by r.oid limit $2::int
) p
left join pg_catalog.pg_class c on c.oid = p.ev_class and c.relkind = 'v'
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace`

/** The tables with row security, one of whose policies calls one of PostgreSQL's functions $1. */
export const POLICY_TREES_QUERY = `
select ${POLICY}, '' as on,
  p.polcmd in ('r', '*') and ${treeCalls('p.polqual::text', '$1')} as is_read
from pg_catalog.pg_policy p ${OF_POLICY}
where c.relrowsecurity and ${treeCalls(`pg_catalog.concat(p.polqual::text, ' ', p.polwithcheck::text)`, '$1')}`

/** Foreign tables: their reading leaves the server. */
export const FOREIGN_TABLES_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'f'`

/** Unlogged relations, which are on the primary only. */
export const UNLOGGED_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relpersistence = 'u' and c.relkind in ('r', 'm', 'S')`

/** The relations that are called one of $1, in lower case. */
export const NAMED_RELATIONS_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where pg_catalog.lower(c.relname) = any($1::text[]) and c.relkind in ('r', 'p', 'v', 'f', 'm')`

/**
 * The relations behind $1, $2 of them: which tables are plain; and, of the others, those that share their name with another one or are
 * part of one. A trigger is harmless where it runs after a row was changed, and for each (`tgtype`: 1 for each row, 2 before, 28 insert,
 * delete or update, 64 instead of).
 */
export const TABLES_QUERY = `
with page as materialized (
  select c.oid, c.relname, c.relnamespace, c.relkind, c.relhasrules, c.relhastriggers, c.relpersistence
  from pg_catalog.pg_class c
  where c.oid > $1::oid and c.oid >= ${FIRST_OWN_OID} and c.relkind in ('r', 'p', 'v', 'f', 'm')
  order by c.oid limit $2::int
), judged as (
  select page.*, n.nspname,
    relkind in ('r', 'p') and not relhasrules and not (relhastriggers and exists (
      select from pg_catalog.pg_trigger t
      where t.tgrelid = page.oid and t.tgtype & 28 <> 0 and (t.tgtype & 1 = 0 or t.tgtype & 66 <> 0))) as is_plain
  from page join pg_catalog.pg_namespace n on n.oid = page.relnamespace
  where page.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
)
select nspname::text as schema, is_plain, array_agg(oid::text) as oids, array_agg(relname::text) as names,
  (select max(oid::bigint)::text from page) as last
from judged j
where is_plain
  or exists (select from pg_catalog.pg_class o where o.relname = j.relname and o.oid <> j.oid and o.relkind in ('r', 'p'))
  or exists (select from pg_catalog.pg_inherits i where i.inhrelid = j.oid)
group by 1, 2
union all
select '', false, '{}', '{}', (select max(oid::bigint)::text from page)`
