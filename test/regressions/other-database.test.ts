import { sql } from 'kysely'
import { beforeEach, expect, test, vi } from 'vitest'
import { useNode } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// The URL of a replica names another database of the same servers: its rows are not the primary's.
const { cluster } = useShop({ isOfEachTest: true })
let replica: PostgresNode

beforeEach(async () => {
  ;[replica] = cluster.replicas as [PostgresNode]
  await cluster.primary.query('create database elsewhere')
  await cluster.waitForCatchup()
})

const WAIT = { timeout: 20_000, interval: 10 }
const elsewhere = ({ connectionString }: PostgresNode) => connectionString.replace('/test', '/elsewhere')

const open = (
  pool: string,
  {
    loadBalanced = false,
    ...options
  }: Partial<PrimaryReplicaDialectOptions> & { loadBalanced?: boolean } = {},
) =>
  Watched.open(cluster, {
    replicas: [{ pool, loadBalanced }],
    probeIntervalMs: 50,
    failover: false,
    ...options,
  })

/** Which database a read sees. */
async function databaseRead({ db }: Watched): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`select current_catalog as name`.execute(db)
  return rows[0]?.name
}

const FAULTS = {
  'a replica': () => open(elsewhere(replica)),
  'a replica behind a load-balanced address': () => open(elsewhere(replica), { loadBalanced: true }),
  'a replica whose lag a function gives': () => open(elsewhere(replica), { lagSource: () => 0 }),
  'the primary under the name of a replica': () => open(elsewhere(cluster.primary)),
}

test.each(Object.entries(FAULTS))(
  '%s serves no rows of another database, and says so once',
  async (_what, opened) => {
    await using watched = await opened()
    await watched.untilUnfit('other-database', 'replica-1')
    expect(await inRequest(() => databaseRead(watched))).toBe('test')
    await expect(useNode('replica-1', () => databaseRead(watched))).rejects.toMatchObject({
      code: 'ERR_WRITE_PINNING_NODE_UNAVAILABLE',
    })
    await vi.waitFor(() => expect(watched.warnings).toHaveLength(1), WAIT)
    expect(watched.warnings[0]).toMatch(
      /^WRITE_PINNING_NODE_ROLE: .*'replica-1' is connected to another database than 'primary'.*primary serves its reads/,
    )
  },
)

test('a replica of the same database serves, whatever its role may read', async () => {
  // Some hosters hide the names of databases.
  await cluster.primary.query('create role app login')
  await cluster.primary.query('grant select on item to app')
  await cluster.primary.query('revoke select on pg_database from public')
  await cluster.waitForCatchup()
  const as = ({ connectionString }: PostgresNode) => connectionString.replace('postgres@', 'app@')
  await using watched = await open(as(replica), { primary: as(cluster.primary) })
  await watched.untilEligible('replica-1')
  const routes = await routesOf(() => inRequest(() => databaseRead(watched)))
  expect(routes.map(({ node }) => node)).toEqual(['replica-1'])
  expect(watched.warnings).toEqual([])
})

test('a replica of another database does not become the primary when it is promoted', async () => {
  await using watched = await open(elsewhere(replica), { failover: true })
  await watched.untilUnfit('other-database', 'replica-1')
  const { timeline } = watched.node('replica-1')
  await cluster.primary.kill()
  await replica.promote()
  await vi.waitFor(() => expect(watched.node('replica-1').timeline).not.toBe(timeline), WAIT)
  expect(watched.node('replica-1').role).toBe('replica')
  expect(watched.node('primary').role).toBe('primary')
})
