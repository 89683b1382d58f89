import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { useNode } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'
import type { Watched } from '../support/watched.ts'

// A replica refuses what the primary accepts: it has not replayed a migration, or never will.
const { cluster, watch } = useShop()
let replica: PostgresNode
let watched: Watched

beforeAll(async () => {
  ;[replica] = cluster.replicas as [PostgresNode]
  await cluster.primary.query("create type mood as enum ('sad')")
  await cluster.primary.query('create table person (id int primary key, feels mood)')
  await cluster.waitForCatchup()
})

beforeEach(async () => {
  watched = await watch({ maxLagMs: 3_600_000 })
  await watched.untilEligible('replica-1')
  await replica.pauseReplay()
  await cluster.primary.query('create table note (id int)')
})

afterEach(async () => {
  await replica.resumeReplay()
  await cluster.primary.query('drop table if exists note')
  await cluster.waitForCatchup()
})

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

/** The routes of one read that fails, and the code of its error. */
async function failing(query: () => Promise<unknown>): Promise<[routes: string[], code: unknown]> {
  let code: unknown
  const routes = await whereAndWhyInRequest(async () => {
    code = await codeOf(query)
  })
  return [routes, code]
}

const NOT_ASKED_TWICE = ['replica: read']

describe('an error that the primary gives as well', () => {
  const matching = (flag: string, letter = 'b') =>
    sql`select jsonb_path_query(${'{"a": "b"}'}::jsonb, ${`$.a ? (@ like_regex "${letter}" flag "${flag}")`}::text::jsonpath)`
  const confirmedErrors: { what: string; code: string; query: () => Promise<unknown> }[] = [
    {
      what: 'a table that is nowhere',
      code: '42P01',
      query: () => sql`select id from nowhere`.execute(watched.db),
    },
    {
      what: 'a relation of a user’s own',
      code: '42P01',
      query: () => sql`select ${'nowhere'}::regclass`.execute(watched.db),
    },
    { what: 'a flag that nobody knows', code: '0A000', query: () => matching('x').execute(watched.db) },
    {
      what: 'a view without its rows',
      code: '55000',
      query: () => sql`select * from unpopulated`.execute(watched.db),
    },
  ]

  beforeEach(async () => {
    await replica.resumeReplay()
    await cluster.primary.query('create materialized view if not exists unpopulated as select 1 with no data')
    await cluster.waitForCatchup()
  })

  for (const { what, code, query } of confirmedErrors) {
    test(`is the text's own fault, and the primary is not asked each time: ${what}`, async () => {
      expect(await failing(query)).toEqual([ASKED_TWICE, code])
      for (let count = 0; count < 5; count++) expect(await failing(query)).toEqual([NOT_ASKED_TWICE, code])
      expect(moved()).toBe(0)
      expect(watched.warnings).toEqual([])
      // Now and then it is.
      await vi.waitFor(async () => expect(await failing(query)).toEqual([ASKED_TWICE, code]), WAIT)
    })
  }

  test('closes no connection of the replica’s, where nothing can be left on it', async () => {
    const pid = async () => {
      const { rows } = await inRequest(() =>
        sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(watched.db),
      )
      return rows[0]?.pid
    }
    const stays = async () => {
      const before = await pid()
      expect((await failing(() => matching('x').execute(watched.db)))[1]).toBe('0A000')
      expect(await pid()).toBe(before)
    }
    // Before the catalog was read nobody knows what it calls.
    await vi.waitFor(stays, WAIT)
    for (let count = 0; count < 10; count++) await stays()
  })

  test('with other values is given back as well, and with good ones the replica serves the text', async () => {
    expect(await failing(() => matching('x').execute(watched.db))).toEqual([ASKED_TWICE, '0A000'])
    expect(await failing(() => matching('x', 'c').execute(watched.db))).toEqual([NOT_ASKED_TWICE, '0A000'])
    expect(await failing(() => matching('i').execute(watched.db))).toEqual([NOT_ASKED_TWICE, undefined])
  })

  test('is no reason to fail a read of the same text for something that only the primary has', async () => {
    const named = (name: string) => () => sql`select ${name}::regclass`.execute(watched.db)
    await replica.pauseReplay()
    await cluster.primary.query('create table other_note (id int)')
    expect(await failing(named('nowhere'))).toEqual([ASKED_TWICE, '42P01'])
    expect(await failing(named('nowhere'))).toEqual([NOT_ASKED_TWICE, '42P01'])
    expect(await failing(named('other_note'))).toEqual([ASKED_TWICE, undefined])
    await cluster.primary.query('drop table other_note')
  })

  test('is no reason to fail a read that a replica refuses because it is one, with the same code', async () => {
    await cluster.primary.query(`
      create or replace function only_there(given text) returns text stable language plpgsql as $$ begin
        if given = 'wrong' then raise exception 'wrong' using errcode = '0A000'; end if;
        if pg_is_in_recovery() then raise exception 'not on a standby' using errcode = '0A000'; end if;
        return given; end $$`)
    await cluster.waitForCatchup()
    const given = (value: string) => () => sql`select only_there(${value}::text)`.execute(watched.db)
    // It is asked for before its first call.
    await vi.waitFor(async () => expect((await failing(given('wrong')))[0]).toEqual(ASKED_TWICE), WAIT)
    expect(await failing(given('right'))).toEqual([ASKED_TWICE, undefined])
  })
})
