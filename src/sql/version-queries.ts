import { FIRST_OWN_OID, HAS_BODY, OF_BODIES } from './catalog-queries.ts'

/**
 * What changes when an object does that is dear to read. Behind $1 so many objects as $2 says are of a page, which gives as well the
 * last one of it.
 */

/** Objects of a page, with their versions. */
export interface VersionsRow {
  readonly oids: readonly string[]
  readonly versions: readonly string[]
  /** The last object of the page; null behind the last page. */
  readonly last: string | null
}

const versionsOf = (objects: string) => `
with page as (${objects} limit $2::int)
select coalesce(array_agg(oid::text), '{}') as oids, coalesce(array_agg(version), '{}') as versions,
  max(oid::bigint)::text as last
from page`

/** The functions that have a body to be read; that of a function is kept with the name of its schema. */
export const BODY_VERSIONS_QUERY = versionsOf(`
select p.oid, pg_catalog.concat_ws(' ', p.xmin::text, n.nspname) as version
${OF_BODIES}
where p.oid > $1::oid and ${HAS_BODY} order by p.oid`)

/** The rules that views are made of. */
export const VIEW_VERSIONS_QUERY = versionsOf(`
select r.oid, r.xmin::text as version from pg_catalog.pg_rewrite r
where r.oid > $1::oid and r.oid >= ${FIRST_OWN_OID} and r.ev_type = '1' order by r.oid`)
