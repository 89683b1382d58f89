import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { useNode } from 'write-pinning'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { codeOf, inRequest, whereAndWhyInRequest } from '../kysely/support.ts'
import { startShop } from '../support/cluster.ts'
import { Watched } from '../support/watched.ts'

// A replica refuses what the primary accepts: it has not replayed a migration, or never will.
let cluster: PostgresCluster
let replica: PostgresNode
let watched: Watched

beforeAll(async () => {
  cluster = await startShop(1)
  ;[replica] = cluster.replicas as [PostgresNode]
  await cluster.primary.query("create type mood as enum ('sad')")
  await cluster.primary.query('create table person (id int primary key, feels mood)')
  await cluster.waitForCatchup()
})

beforeEach(async () => {
  watched = await Watched.open(cluster, { maxLagMs: 3_600_000 })
  await watched.untilEligible('replica-1')
  await replica.pauseReplay()
  await cluster.primary.query('create table note (id int)')
})

afterEach(async () => {
  await watched.close()
  await replica.resumeReplay()
  await cluster.primary.query('drop table if exists note')
  await cluster.waitForCatchup()
})

afterAll(() => cluster.stop())

const WAIT = { timeout: 20_000, interval: 20 }
const ASKED_TWICE = ['replica: read', 'primary: refused']

const read = () => sql`select id from note`.execute(watched.db)
const moved = () => watched.node('replica-1').counts.movedAway
const refusing = () => watched.warnings.filter((each) => each.startsWith('WRITE_PINNING_REPLICA_REFUSES'))

/** Reads until the replica is asked again. */
const untilAsked = (query: () => Promise<unknown>) =>
  vi.waitFor(async () => expect(await whereAndWhyInRequest(query)).toContain('replica: read'), WAIT)

describe('a text that a replica refuses and the primary accepts', () => {
  test('is not asked there again for a while, is counted as moved, and is not warned of', async () => {
    expect(await whereAndWhyInRequest(read)).toEqual(ASKED_TWICE)
    for (let count = 0; count < 5; count++) {
      expect(await whereAndWhyInRequest(read)).toEqual(['primary: refused'])
    }
    expect(moved()).toBe(1)
    expect(watched.warnings).toEqual([])
    // Other texts are asked there as ever.
    expect(await whereAndWhyInRequest(() => sql`select id from item`.execute(watched.db))).toEqual([
      'replica: read',
    ])
  })

  test('is served there once the replica knows what it lacked, and nobody is warned', async () => {
    expect(await whereAndWhyInRequest(read)).toEqual(ASKED_TWICE)
    await replica.resumeReplay()
    await cluster.waitForCatchup()
    await untilAsked(read)
    for (let count = 0; count < 5; count++)
      expect(await whereAndWhyInRequest(read)).toEqual(['replica: read'])
    expect(moved()).toBe(1)
    expect(watched.warnings).toEqual([])
  })

  test('is warned of where it is refused again after a rest: once for each replica, and without its values', async () => {
    await cluster.primary.query("alter type mood add value 'secret'")
    const byLabel = () => sql`select id from person where feels = ${'secret'}`.execute(watched.db)
    for (const query of [read, byLabel]) {
      expect(await whereAndWhyInRequest(query)).toEqual(ASKED_TWICE)
      await untilAsked(query)
    }
    await vi.waitFor(() => expect(refusing()).toHaveLength(1), WAIT)
    expect(refusing()[0]).toMatch(/'replica-1' .*42P01: a table or view is missing.*primary/)
    expect(refusing()[0]).not.toMatch(/note|secret/)
    expect(moved()).toBe(4)
  })

  test('is known where it was streamed, too', async () => {
    const stream = async () => {
      for await (const _row of watched.db
        .selectFrom('note' as 'item')
        .select('id')
        .stream());
    }
    expect(await whereAndWhyInRequest(stream)).toEqual(ASKED_TWICE)
    expect(await whereAndWhyInRequest(stream)).toEqual(['primary: refused'])
  })

  test('goes on failing in `useNode()`, which asks for that replica', async () => {
    expect(await whereAndWhyInRequest(read)).toEqual(ASKED_TWICE)
    expect(await codeOf(() => useNode('replica-1', read))).toBe('42P01')
  })
})

test('a text that the primary refuses as well is its own fault, and is asked as ever', async () => {
  const wrong = () => inRequest(() => sql`select id from nowhere`.execute(watched.db))
  for (let count = 0; count < 3; count++) {
    expect(await whereAndWhyInRequest(async () => expect(await codeOf(wrong)).toBe('42P01'))).toEqual(
      ASKED_TWICE,
    )
  }
  expect(moved()).toBe(0)
})
