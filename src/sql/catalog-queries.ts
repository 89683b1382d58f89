/**
 * The questions that a server is asked about its functions and relations. Any database user may read these catalogs.
 *
 * The server does the work, by object identifiers. `pg_depend` lists which view calls which function
 * (https://www.postgresql.org/docs/current/catalog-pg-depend.html), except for PostgreSQL's own functions: only the
 * tree of the view's query shows those. Each question is about one page of objects, so none takes long.
 */

/** Asks a server one question, and gives the rows. */
export type Ask = <Row>(text: string, values: readonly unknown[]) => Promise<readonly Row[]>

/** Functions of a page, grouped: one row per schema, volatility, origin and `takes_one`. */
export interface FunctionRow {
  readonly schema: string
  readonly is_volatile: boolean
  /** Whether they are the application's: neither PostgreSQL's nor an extension's. */
  readonly is_own: boolean
  /** Whether they can be called with one argument. */
  readonly takes_one: boolean
  readonly oids: readonly string[]
  readonly names: readonly string[]
  /** The last object of the page. */
  readonly last?: string
}

/** Types of a page, grouped by schema. */
export interface TypeRow {
  readonly schema: string
  readonly names: readonly string[]
  /** The last object of the page. */
  readonly last?: string
}

/** The text of a function of the application that is declared stable or immutable. */
export interface BodyRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly body: string
}

/** An object that depends on another one: it calls that function, or reads that relation. */
export interface DependentRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** The `oid` of the object that it depends on. */
  readonly on: string
  /** The policy through which it depends on that object. */
  readonly policy?: string
  /** Whether a read of the table evaluates that policy. */
  readonly is_read?: boolean
}

/** Relations of a page, grouped by schema and by whether they are plain. */
export interface TableRow {
  readonly schema: string
  readonly is_plain: boolean
  readonly oids: readonly string[]
  readonly names: readonly string[]
  readonly last: string
}

/**
 * Objects that `initdb` made have lower identifiers than this. `pg_depend` does not list what depends on them, except
 * for views.
 */
export const FIRST_OWN_OID = 16_384

/**
 * Stands for row locking in a list of functions that a tree may call. A number would not do: even 0 stands in trees,
 * for a function that is not used there.
 */
export const LOCKS = 'locks'

export const IS_OWN = `n.nspname <> 'pg_catalog' and not exists (
    select from pg_catalog.pg_depend e
    where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e')`
/**
 * SQL: whether a tree calls one of the functions `oids`. If {@link LOCKS} is among them, also whether the tree locks
 * rows. The query cuts the calls out of the tree's text (`:funcid 1574 :funcresulttype …`, `:opfuncid …`). A regular
 * expression takes ten times as long.
 */
export const treeCalls = (tree: string, oids: string) => `exists (
  select from pg_catalog.unnest(pg_catalog.string_to_array(
    pg_catalog.replace(${tree}, ':hasForUpdate true', 'funcid ${LOCKS} '), 'funcid ')) as cut(piece)
  where pg_catalog.split_part(cut.piece, ' ', 1) = any(${oids}::text[]))`
/** SQL: the functions that an aggregate calls, also over a moving frame and in parallel. */
export const STEPS = ['trans', 'final', 'combine', 'serial', 'deserial', 'mtrans', 'minvtrans', 'mfinal']
  .map((step) => `a.agg${step}fn`)
  .join(', ')
/**
 * SQL: whether a function is one of those of `tablefunc` or `xml2` that run a text. Their C symbols decide, because
 * the manual of `tablefunc` says how to make more such functions under other names.
 */
export const RUNS_TEXT = `p.prolang = 13 and p.prosrc in (
    'crosstab', 'crosstab_hash', 'connectby_text', 'connectby_text_serial', 'xpath_table')`
/**
 * SQL: the trees that show what a function calls: in the defaults of its parameters, and in a body that is kept as a
 * tree (from PostgreSQL 14 on).
 */
export const DEFAULTS_AND_TREE = `pg_catalog.concat(p.proargdefaults::text, ' ', pg_catalog.to_jsonb(p) ->> 'prosqlbody')`
export const NOT_TEMPORARY = `n.nspname !~ '^pg_(temp|toast_temp)_'`

/**
 * The next $2 functions after the identifier $1 (https://www.postgresql.org/docs/current/catalog-pg-proc.html). An
 * aggregate is always declared immutable, so it counts as volatile if one of its functions is.
 */
export const FUNCTIONS_QUERY = `
with page as materialized (
  select p.* from pg_catalog.pg_proc p where p.oid > $1::oid order by p.oid limit $2::int
)
select n.nspname::text as schema,
  p.provolatile = 'v' or ${RUNS_TEXT} or p.prokind = 'a' and exists (
    select from pg_catalog.pg_aggregate a join pg_catalog.pg_proc s on s.oid = any(array[${STEPS}]::oid[])
    where a.aggfnoid = p.oid and s.provolatile = 'v') as is_volatile,
  ${IS_OWN} as is_own,
  p.prokind = 'f' and p.pronargs > 0 and p.pronargs - p.pronargdefaults <= 1 as takes_one,
  array_agg(p.oid::text) as oids, array_agg(p.proname::text) as names,
  (select max(oid::bigint)::text from page) as last
from page p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.prokind <> 'p' and ${NOT_TEMPORARY}
group by 1, 2, 3, 4
union all
select '', false, false, false, '{}', '{}', (select max(oid::bigint)::text from page)`

/**
 * The next $2 types after the identifier $1 to which a cast may be written like a call. Types of rows, and arrays of
 * the application's types, are left out: nobody writes a cast to those like a call.
 */
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

/** The `from` of {@link BODIES_QUERY}: functions, with their schemas and languages. */
export const OF_BODIES = `from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang`
/**
 * SQL: whether a function is the application's, is not declared volatile, and has a body to read. The declarations of
 * functions in other languages than SQL and PL/pgSQL are believed.
 */
export const HAS_BODY = `p.oid >= ${FIRST_OWN_OID} and p.provolatile <> 'v' and p.prokind in ('f', 'w')
  and l.lanname in ('sql', 'plpgsql') and p.prosrc <> '' and ${NOT_TEMPORARY} and ${IS_OWN}`

/** The bodies of the functions $1. */
export const BODIES_QUERY = `
select p.oid::text, n.nspname::text as schema, p.proname::text as name, p.prosrc as body
${OF_BODIES}
where p.oid = any($1::oid[])`

/**
 * The functions that are declared stable or immutable and call one of PostgreSQL's functions $1: in a body that is
 * kept as a tree (from PostgreSQL 14 on), or in the default of a parameter. `advances` says whether one of $2 is
 * called, which advance sequences.
 */
export const TREE_CALLERS_QUERY = `
select p.oid::text, n.nspname::text as schema, p.proname::text as name, '' as body,
  ${treeCalls(DEFAULTS_AND_TREE, '$2')} as advances
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.oid >= ${FIRST_OWN_OID} and p.provolatile <> 'v' and p.prokind in ('f', 'w') and ${NOT_TEMPORARY}
  and (p.prosrc = '' or p.proargdefaults is not null)
  and ${treeCalls(DEFAULTS_AND_TREE, '$1')}`

/**
 * The functions that are declared stable or immutable and depend on one of the objects $1 of the catalog $2: they
 * call it in their tree, in a default, or as a step of an aggregate, or it is the type of an argument or of their
 * result.
 */
export const CALLERS_QUERY = `
select distinct p.oid::text, n.nspname::text as schema, p.proname::text as name, d.refobjid::text as on,
  ${IS_OWN} as is_own
from pg_catalog.pg_depend d join pg_catalog.pg_proc p on p.oid = d.objid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.refclassid = $2::pg_catalog.regclass
  and d.refobjid = any($1::oid[]) and d.deptype = 'n' and p.provolatile <> 'v' and ${NOT_TEMPORARY}
  and p.prosupport <> d.refobjid
  and (a.aggfnoid is null or d.refobjid in (${STEPS}))`

/**
 * The views that call or read one of $1. A materialized view counts as a table: a read of it does not run its query.
 */
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

export const POLICY = `c.oid::text, n.nspname::text as schema, c.relname::text as name, p.polname::text as policy`
export const OF_POLICY = `join pg_catalog.pg_class c on c.oid = p.polrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace`

/** The tables with row security that have a policy that calls or reads one of $1. */
export const POLICIES_QUERY = `
select distinct ${POLICY}, d.refobjid::text as on,
  p.polcmd in ('r', '*') and p.polqual is not null
    and (p.polwithcheck is null or p.polqual::text ~ ('\\m' || d.refobjid || '\\M')) as is_read
from pg_catalog.pg_depend d join pg_catalog.pg_policy p on p.oid = d.objid ${OF_POLICY}
where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.refclassid = $2::pg_catalog.regclass
  and d.refobjid = any($1::oid[]) and d.deptype = 'n' and c.relrowsecurity`

/** The parents of the tables $1: partitioned tables, and tables with children. */
export const PARENTS_QUERY = `
select distinct c.oid::text, n.nspname::text as schema, c.relname::text as name, i.inhrelid::text as on
from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhparent
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.inhrelid = any($1::oid[]) and c.relkind in ('r', 'p', 'f')`

/** The parts of the tables $1: partitions and children. */
export const CHILDREN_QUERY = `
select distinct c.oid::text, n.nspname::text as schema, c.relname::text as name, i.inhparent::text as on
from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.inhparent = any($1::oid[]) and c.relkind in ('r', 'p', 'f')`

/**
 * Those of the rules $1 that call one of PostgreSQL's functions $2, with the views that they belong to. {@link LOCKS}
 * among $2 stands for a lock of rows. `advances` says whether one of $3 is called, which advance sequences.
 */
export const VIEW_TREES_QUERY = `
select r.oid::text as rule, r.ev_class::text as view, ${treeCalls('r.ev_action::text', '$3')} as advances
from pg_catalog.pg_rewrite r
where r.oid = any($1::oid[]) and ${treeCalls('r.ev_action::text', '$2')}`

/** The views among the relations $1, with their names. */
export const NAMES_OF_VIEWS_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any($1::oid[]) and c.relkind = 'v'`

/**
 * The tables with row security that have a policy that calls one of PostgreSQL's functions $1. `advances` says
 * whether one of $2 is called, which advance sequences.
 */
export const POLICY_TREES_QUERY = `
select ${POLICY}, '' as on,
  p.polcmd in ('r', '*') and ${treeCalls('p.polqual::text', '$1')} as is_read,
  ${treeCalls('p.polqual::text', '$2')} as advances
from pg_catalog.pg_policy p ${OF_POLICY}
where c.relrowsecurity and ${treeCalls(`pg_catalog.concat(p.polqual::text, ' ', p.polwithcheck::text)`, '$1')}`

/** Foreign tables: a read of one goes to another server. */
export const FOREIGN_TABLES_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'f'`

/** Whether a trigger may run within a commit. Triggers of foreign keys do not count: they set nothing. */
export const DEFERRED_QUERY = `
select exists (select from pg_catalog.pg_trigger t where t.tgdeferrable and not t.tgisinternal) as is_any`

/** Unlogged relations: only the primary has their rows. */
export const UNLOGGED_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relpersistence = 'u' and c.relkind in ('r', 'm')`

/** Sequences, grouped by schema. On most of them, only the default of a column depends. */
export interface SequenceRow {
  readonly schema: string
  readonly names: readonly string[]
  /** Those that a view, a policy or a function reads. */
  readonly read_oids: readonly string[]
  readonly read_names: readonly string[]
}

/** All sequences. A replica shows up to 32 values that were not given out yet. */
export const SEQUENCES_QUERY = `
select s.schema, array_agg(s.name) as names,
  coalesce(array_agg(s.oid) filter (where s.is_read), '{}') as read_oids,
  coalesce(array_agg(s.name) filter (where s.is_read), '{}') as read_names
from (
  select n.nspname::text as schema, c.relname::text as name, c.oid::text as oid, exists (
    select from pg_catalog.pg_depend d
    where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = c.oid
      and d.classid in ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
        'pg_catalog.pg_proc'::pg_catalog.regclass)) as is_read
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'S' and c.relpersistence <> 't'
) s
group by 1`

/** The relations whose name, in lower case, is one of $1. */
export const NAMED_RELATIONS_QUERY = `
select c.oid::text, n.nspname::text as schema, c.relname::text as name, '' as on
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where pg_catalog.lower(c.relname) = any($1::text[]) and c.relkind in ('r', 'p', 'v', 'f', 'm')`

/**
 * The next $2 relations after the identifier $1: which tables are plain, and, of the others, those that share their
 * name with another table or are a part of one. A trigger is harmless if it runs after the change of a row, and for
 * each row (`tgtype`: 1 for each row, 2 before, 28 insert, delete or update, 64 instead of).
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
