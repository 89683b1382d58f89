/** What is asked of a server about its functions and relations; any role may read these catalogs. */

/** Functions, grouped: one row per schema, volatility and origin. */
export interface FunctionRow {
  readonly schema: string
  readonly is_volatile: boolean
  /** Whether they are neither PostgreSQL's nor an extension's. */
  readonly is_own?: boolean
  readonly names: readonly string[]
}

/** A relation whose reading may do more than read, and the text that tells; without text it surely does. */
export interface RelationRow {
  readonly name: string
  readonly definition: string | null
  /** Whether it only reads, but a standby has nothing of it. */
  readonly is_unlogged?: boolean
}

/**
 * The functions of a database (https://www.postgresql.org/docs/current/catalog-pg-proc.html). An aggregate is declared
 * immutable whatever it does, so that the functions it is made of tell.
 */
export const FUNCTIONS_QUERY = `
select n.nspname::text as schema,
  'v' in (p.provolatile, step.provolatile, final.provolatile) is true as is_volatile,
  n.nspname <> 'pg_catalog' and e.objid is null as is_own,
  array_agg(distinct p.proname::text) as names
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
left join pg_catalog.pg_proc step on step.oid = a.aggtransfn
left join pg_catalog.pg_proc final on final.oid = a.aggfinalfn
left join pg_catalog.pg_depend e
  on e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e'
where p.prokind <> 'p' and n.nspname !~ '^pg_(temp|toast_temp)_'
group by 1, 2, 3`

/**
 * The relations that may do more than read: views, by their definitions; tables with row security, by their policies;
 * foreign tables and what has them as children. And whatever else calls a volatile function without a parenthesis behind
 * its name: a function of a row that is read like a column, an operator, a cast. Unlogged tables are on the primary only.
 */
export const RELATIONS_QUERY = `
with recursive leaving(oid) as (
  select c.oid from pg_catalog.pg_class c where c.relkind = 'f'
  union
  select i.inhparent from pg_catalog.pg_inherits i join leaving l on i.inhrelid = l.oid
)
select c.relname::text as name, null as definition, false as is_unlogged
from pg_catalog.pg_class c join leaving l on l.oid = c.oid
union all
select c.relname::text, pg_catalog.pg_get_viewdef(c.oid), false
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and n.nspname not in ('pg_catalog', 'information_schema')
union all
select c.relname::text, 'select ' || coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'true'), false
from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
union all
select p.proname::text, null, false
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type t on t.oid = p.proargtypes[0]
where p.pronargs - p.pronargdefaults <= 1 and p.provolatile = 'v' and p.prokind = 'f' and n.nspname <> 'pg_catalog'
  and (t.typtype = 'c' or t.typname in ('record', 'any', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray'))
union all
select o.oprname::text, null, false
from pg_catalog.pg_operator o join pg_catalog.pg_proc p on p.oid = o.oprcode
join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where p.provolatile = 'v' and n.nspname <> 'pg_catalog'
union all
select t.typname::text, null, false
from pg_catalog.pg_cast c join pg_catalog.pg_proc p on p.oid = c.castfunc
join pg_catalog.pg_type t on t.oid = c.casttarget
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.provolatile = 'v' and n.nspname <> 'pg_catalog'
union all
select c.relname::text, null, true
from pg_catalog.pg_class c
where c.relpersistence = 'u' and c.relkind in ('r', 'm', 'S')`
