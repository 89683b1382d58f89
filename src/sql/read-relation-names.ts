import type { Ask } from './catalog-queries.ts'
import { KnownRelations } from './known-relations.ts'

/** Reads the names of all relations; undefined if there are more than are kept. */
export async function readRelationNames(ask: Ask): Promise<KnownRelations | undefined> {
  const known = new KnownRelations()
  for (let last: string | null | undefined = '0'; last !== undefined && last !== null; ) {
    const rows: readonly NamesRow[] = await ask<NamesRow>(NAMES_QUERY, [last, NAMES_PAGE])
    for (const { schema, names } of rows) for (const name of names) known.add(schema, name)
    if (known.size > MAX_NAMES) return undefined
    last = rows.at(-1)?.last
  }
  return known
}

const NAMES_PAGE = 5_000
/** How many names are kept. If there are more, no relation counts as unknown. */
const MAX_NAMES = 200_000

interface NamesRow {
  readonly schema: string
  readonly names: readonly string[]
  /** The last object of the page. */
  readonly last: string | null
}

/** The next $2 relations after the identifier $1 that a statement can read by name, grouped by schema. */
const NAMES_QUERY = `
with page as materialized (
  select c.oid, c.relname, c.relnamespace from pg_catalog.pg_class c
  where c.oid > $1::oid and c.relkind in ('r', 'p', 'v', 'f', 'm', 'S', 't') and c.relpersistence <> 't'
  order by c.oid limit $2::int
)
select n.nspname::text as schema, array_agg(page.relname::text) as names,
  (select max(oid::bigint)::text from page) as last
from page join pg_catalog.pg_namespace n on n.oid = page.relnamespace
group by 1
union all
select '', '{}', (select max(oid::bigint)::text from page)`
