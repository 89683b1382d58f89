import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { readsOf, startLoad } from '../support/load.ts'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// A migration has run on the primary, and the new version of the service is up. The replicas have not replayed the
// migration yet.
const { cluster, watch } = useShop({
  replicas: 2,
  sql: [
    "create type mood as enum ('sad')",
    'create table person (id int primary key, feels mood)',
    'create table secret (id int)',
    'create role app login',
    'grant select, insert on item, person to app',
    'grant usage on sequence item_id_seq to app',
  ],
})
let watched: Watched

beforeAll(async () => {
  const as = ({ connectionString }: { connectionString: string }) =>
    connectionString.replace('postgres@', 'app@')
  watched = await watch({
    primary: as(cluster.primary),
    replicas: cluster.replicas.map(as),
    maxLagMs: 3_600_000,
  })
  await watched.untilEligible('replica-1', 'replica-2')
})

const MIGRATIONS = {
  'a new table': ['create table note (id int); grant select on note to app', () => sql`select id from note`],
  'a new column': ['alter table item add price int', () => sql`select price from item`],
  // An enum keeps its labels, so each run adds another one.
  'a new label of an enum': [
    'alter type mood add value',
    (label: string) => sql`select id from person where feels = ${label}`,
  ],
  'a new type': ["create type colour as enum ('red')", () => sql`select ${'red'}::colour`],
  'a new schema': [
    'create schema shop; grant usage on schema shop to app; create table shop.a (id int); grant select on shop.a to app',
    () => sql`select id from shop.a`,
  ],
  'a new function': [
    `create function twice(int) returns int stable language sql as 'select $1 * 2'`,
    () => sql`select twice(2)`,
  ],
  'a new right': ['grant select on secret to app', () => sql`select id from secret`],
} as const

describe.each([1, 2])('with %i of 2 replicas behind', (behind) => {
  beforeEach(async () => {
    for (const replica of cluster.replicas.slice(0, behind)) await replica.pauseReplay()
  })

  afterEach(async () => {
    for (const replica of cluster.replicas.slice(0, behind)) await replica.resumeReplay()
    await cluster.primary.query(
      'drop table if exists note; drop schema if exists shop cascade; drop function if exists twice; drop type if exists colour; alter table item drop column if exists price; revoke all on secret from app',
    )
    await cluster.waitForCatchup()
  })

  test.each(Object.entries(MIGRATIONS))('%s: no read fails', async (what, [migration, read]) => {
    const label = `happy ${behind}`
    await cluster.primary.query(migration.endsWith('value') ? `${migration} '${label}'` : migration)
    const load = startLoad(readsOf(cluster, watched.db))
    const routes = await routesOf(async () => {
      const reading = startLoad(() => inRequest(() => read(label).execute(watched.db)), { perSecond: 50 })
      await vi.waitFor(() => expect(reading.soFar().operations.length).toBeGreaterThan(20))
      expect((await reading.stop()).failures().map(String)).toEqual([])
    })
    expect((await load.stop()).failures().map(String)).toEqual([])
    // Until the catalog knows a function, the primary serves it. So no replica refuses it.
    if (what !== 'a new function') expect(routes.map(({ reason }) => reason)).toContain('refused')
  })
})
