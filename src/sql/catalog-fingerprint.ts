import type { Ask } from './catalog-queries.ts'
import { FIRST_OWN_OID } from './catalog-queries.ts'

/**
 * Gives a fingerprint of one half of the catalog. It changes whenever that half must be read again. This is one
 * question with one small answer: the server takes some milliseconds for it, and a fifth of a second with 40,000
 * views. The effects of relations depend on the functions too. So if the fingerprint of the functions changes, both
 * halves must be read again.
 */
export async function readFingerprint(ask: Ask, half: 'functions' | 'relations'): Promise<string> {
  const [row] = await ask<{ readonly print: string }>(QUERIES[half], [])
  return row?.print ?? ''
}

/** A system catalog, with SQL that shows whether its rows have changed. */
interface Part {
  readonly catalog: string
  /** SQL that makes a number of a row. The fingerprint has the sum of these. */
  readonly hash: string
  /** SQL that says which rows matter. Temporary objects do not: they come and go, and no other session sees them. */
  readonly where?: string
}

/** Identifies rows by their object, and by the transaction that wrote them (`xmin`). */
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
  // Without the types of rows and of arrays: they come and go with their relation or their element type.
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
  // By content and not by `xmin`: `truncate` and the like write these rows again although nothing here has changed.
  {
    catalog: 'pg_class',
    hash: `pg_catalog.hashtext(pg_catalog.concat_ws(' ', oid, relnamespace, relname, relkind, relpersistence, relhasrules, relhastriggers,
  relrowsecurity, relnatts))`,
    where: `relkind in ('r', 'p', 'v', 'f', 'm', 'S', 'c') and relpersistence <> 't'`,
  },
  // A column may get another type, and nothing else changes with that. Only types that are not PostgreSQL's own
  // matter.
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
