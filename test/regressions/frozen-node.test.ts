import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// A replica is frozen, and nobody has noticed yet. With `readTimeoutMs`, another node gets its reads, within the same time in all.
const { cluster, watch } = useShop({ replicas: 2 })
let frozen: PostgresNode
let watched: Watched

beforeAll(async () => {
  frozen = cluster.replicas[0] as PostgresNode
})

beforeEach(async () => {
  watched = await watch(
    {
      readTimeoutMs: 2_000,
      // It is noticed only by what is done for the sake of the reads.
      probeIntervalMs: 3_600_000,
      choose: (all) => all.find(({ name }) => name === 'replica-1') ?? all[0]?.name ?? '',
    },
    { counts: false },
  )
  await watched.untilEligible('replica-1', 'replica-2')
  // An idle connection is there.
  await inRequest(() => watched.db.selectFrom('item').select('id').execute())
})

afterEach(() => frozen.thaw())

const where = sql<{ port: number }>`select inet_server_port() as port`

const reads: [string, () => Promise<number | undefined>][] = [
  ['a statement', async () => (await where.execute(watched.db)).rows[0]?.port],
  [
    'a stream',
    async () => {
      for await (const { port } of watched.db
        .selectNoFrom(sql<number>`inet_server_port()`.as('port'))
        .stream()) {
        return port
      }
      return undefined
    },
  ],
]

describe.each(reads)('%s', (_what, read) => {
  test('that a frozen replica was given is served by another one', async () => {
    await frozen.freeze()
    expect(await inRequest(read)).toBe(cluster.replicas[1]?.port)
  })

  test('is served by the primary, where there is no other replica', async () => {
    watched.dialect.drain('replica-2')
    await frozen.freeze()
    expect(await inRequest(read)).toBe(cluster.primary.port)
  })
})

test('a replica that is alive, and slow, keeps its read for all of the time', async () => {
  const routes = await routesOf(() => inRequest(() => sql`select pg_sleep(1.5)`.execute(watched.db)))
  expect(routes.map(({ node }) => node)).toEqual(['replica-1'])
})

test('a replica that is alive, and slow, is asked over the connection that its watcher has', async () => {
  const watchers = () =>
    frozen.query(
      "select pid from pg_stat_activity where application_name = 'write-pinning' and pid <> pg_backend_pid()",
    )
  const before = await watchers()
  for (let count = 0; count < 3; count++) await inRequest(() => sql`select pg_sleep(0.6)`.execute(watched.db))
  expect(await watchers()).toEqual(before)
})
