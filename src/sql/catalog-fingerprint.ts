import type { Ask } from './catalog-queries.ts'
import { FIRST_OWN_OID } from './catalog-queries.ts'

/**
 * What changes with whatever a reading of the functions, or of the relations, depends on. One question with one small answer: the server
 * takes some milliseconds for it, and a fifth of a second where there are 40,000 views. The relations' half hangs on the functions' as well.
 */
export async function readFingerprint(ask: Ask, half: 'functions' | 'relations'): Promise<string> {
  const [row] = await ask<{ readonly print: string }>(QUERIES[half], [])
  return row?.print ?? ''
}

/** A catalog, and what tells that its rows have changed. */
interface Part {
  readonly catalog: string
  /** A number of a row. */
  readonly hash: string
  /** Which rows matter. What is temporary comes and goes, and nobody else sees it. */
  readonly where?: string
}

/** Rows that are told by their objects, and by the transactions that wrote them. */
function versionsOf(catalog: string, object = 'oid', where = 'true'): Part {
  const hash = `pg_catalog.hashint8((xmin::text::bigint << 32) + ${object}::bigint)`
  return { catalog, hash, where }
}

const FUNCTIONS: readonly Part[] = [
  versionsOf('pg_proc', 'oid'),
  versionsOf('pg_aggregate', 'aggfnoid::oid'),
  versionsOf('pg_operator'),
  versionsOf('pg_opclass'),
  versionsOf('pg_amop'),
  versionsOf('pg_amproc'),
  versionsOf('pg_cast'),
  versionsOf('pg_range', 'rngtypid'),
  // The types of rows, and of arrays, come and go with what they are of.
  versionsOf('pg_type', 'oid', `typrelid = 0 and typcategory <> 'A'`),
  versionsOf('pg_constraint', 'oid', 'contypid <> 0'),
  {
    catalog: 'pg_namespace',
    hash: `pg_catalog.hashtext(pg_catalog.concat_ws(' ', oid, nspname))`,
    where: `nspname !~ '^pg_(temp|toast_temp)_'`,
  },
]

const isLasting = (relation: string) =>
  `${relation} not in (select oid from pg_catalog.pg_class where relpersistence = 't')`

const RELATIONS: readonly Part[] = [
  versionsOf('pg_rewrite', 'oid', isLasting('ev_class')),
  versionsOf('pg_trigger', 'oid', isLasting('tgrelid')),
  versionsOf('pg_inherits', 'inhrelid', isLasting('inhrelid')),
  versionsOf('pg_policy'),
  // What stands in the rows: `truncate` and the like write them anew.
  {
    catalog: 'pg_class',
    hash: `pg_catalog.hashtext(pg_catalog.concat_ws(' ', oid, relnamespace, relname, relkind, relpersistence, relhasrules, relhastriggers,
  relrowsecurity, relnatts))`,
    where: `relkind in ('r', 'p', 'v', 'f', 'm', 'S', 'c') and relpersistence <> 't'`,
  },
  // A column may get another type, and nothing else changes with it; those of types of somebody's matter.
  {
    catalog: 'pg_attribute',
    hash: `pg_catalog.hashint8((attrelid::bigint << 32) + atttypid::bigint)`,
    where: `atttypid >= ${FIRST_OWN_OID} and ${isLasting('attrelid')}`,
  },
]

const QUERIES = { functions: queryOf(FUNCTIONS), relations: queryOf(RELATIONS) }

function queryOf(parts: readonly Part[]): string {
  const prints = parts.map(
    ({ catalog, hash, where = 'true' }) =>
      `select pg_catalog.concat_ws(' ', '${catalog}', pg_catalog.count(*), pg_catalog.sum(${hash})) as print
from pg_catalog.${catalog} where ${where}`,
  )
  return `select pg_catalog.string_agg(print, ', ' order by print) as print from (
${prints.join('\nunion all\n')}
) each`
}
