import { FIRST_OWN_OID, HAS_BODY, OF_BODIES } from './catalog-queries.ts'

/**
 * Questions for the versions of objects that are expensive to read. A version changes when its object does. Each
 * question gives one page: the next $2 objects after the identifier $1, and the last one of them.
 */

/** Objects of a page, with their versions. */
export interface VersionsRow {
  readonly oids: readonly string[]
  readonly versions: readonly string[]
  /** The last object of the page; null after the last page. */
  readonly last: string | null
}

const versionsOf = (objects: string) => `
with page as (${objects} limit $2::int)
select coalesce(array_agg(oid::text), '{}') as oids, coalesce(array_agg(version), '{}') as versions,
  max(oid::bigint)::text as last
from page`

/**
 * The functions that have a body to read. The name of the schema is a part of the version, because it is kept with
 * the body.
 */
export const BODY_VERSIONS_QUERY = versionsOf(`
select p.oid, pg_catalog.concat_ws(' ', p.xmin::text, n.nspname) as version
${OF_BODIES}
where p.oid > $1::oid and ${HAS_BODY} order by p.oid`)

/** The rules that views are made of. */
export const VIEW_VERSIONS_QUERY = versionsOf(`
select r.oid, r.xmin::text as version from pg_catalog.pg_rewrite r
where r.oid > $1::oid and r.oid >= ${FIRST_OWN_OID} and r.ev_type = '1' order by r.oid`)
