import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// A read under an exact pin is asked in the same message how far its server has replayed. That changes nothing of what it gives.
const { cluster, open: openDatabase } = useShop()
let replica: PostgresNode
let db: Kysely<Database>
let pinned: <T>(fn: () => T) => T

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
})

/** Opens a database whose reads, in `pinned()`, demand a position that its replica has replayed. */
async function open(config: pg.PoolConfig & { pipeline?: boolean } = {}): Promise<void> {
  const pool = new pg.Pool({ connectionString: replica.connectionString, ...config })
  db = openDatabase({ replicas: [pool] })
  const token = await runWithPin(
    undefined,
    async () => {
      await db.insertInto('item').values({ name: 'written' }).execute()
      return await capturePin()
    },
    { pin: 'exact' },
  )
  await cluster.waitForCatchup()
  pinned = (fn) => runWithPin(token, fn)
  await vi.waitFor(
    async () => expect(await nodesOf(() => read('select 1'))).toEqual(['replica-1: pin']),
    5_000,
  )
}

const read = (text: string) => sql.raw<Record<string, unknown>>(text).execute(db)
const nodesOf = async (fn: () => unknown) =>
  (await routesOf(() => pinned(fn))).map(({ node, reason }) => `${node}: ${reason}`)
const codeOf = (reading: Promise<unknown>) =>
  reading.then(
    () => 'none',
    (error: { code?: string }) => error.code,
  )

describe.each([
  { name: 'a plain pool', config: {} },
  { name: 'a pool whose every read has a session of its own', config: { maxUses: 1 } },
  { name: 'a pool that pipelines', config: { pipeline: true, maxUses: 1 } },
  {
    name: 'a pool whose sessions begin at repeatable read',
    config: { options: '-c default_transaction_isolation=repeatable\\ read' },
  },
])('$name', ({ config }) => {
  test('rows, parameters, types and errors are as without', async () => {
    await open(config)
    const when = new Date(0)
    const nodes = await nodesOf(async () => {
      const { rows } = await sql`
        select ${7}::int as int, ${'7'}::text as text, ${when}::timestamptz as "when", ${[1, 2]}::int[] as list,
          null as nothing, ${JSON.stringify({ a: 1 })}::jsonb as json, 7::int8 as big`.execute(db)
      expect(rows).toEqual([
        { int: 7, text: '7', when, list: [1, 2], nothing: null, json: { a: 1 }, big: '7' },
      ])
      expect((await read('select 1 where false')).rows).toEqual([])
      expect((await read('show server_encoding')).rows).toEqual([{ server_encoding: 'UTF8' }])
      expect((await read('values (1), (2);')).rows).toEqual([{ column1: 1 }, { column1: 2 }])
      expect((await read('select from generate_series(1, 3)')).rows).toEqual([{}, {}, {}])
      expect(await codeOf(read('select 1 / 0'))).toBe('22012')
      expect(await codeOf(read('select * from nowhere where 1 / 0'))).toBe('42P01')
      expect((await read('select 2 as two')).rows).toEqual([{ two: 2 }])
    })
    // What the replica does not know, the primary may.
    expect(new Set(nodes)).toEqual(new Set(['replica-1: pin', 'primary: refused']))
  })

  test('so it is where many wait for one connection', async () => {
    await open({ ...config, max: 1 })
    const results = await pinned(() =>
      Promise.all(
        Array.from({ length: 50 }, (_, i) => sql<{ i: number }>`select ${i}::int as i`.execute(db)),
      ),
    )
    expect(results.map(({ rows }) => rows[0]?.i)).toEqual(Array.from({ length: 50 }, (_, i) => i))
  })
})

test('the pool’s own parsers of types are used', async () => {
  const FLOAT8 = 701
  const getTypeParser = (oid: number, format?: 'text') =>
    oid === FLOAT8 ? (value: string) => `<${value}>` : pg.types.getTypeParser(oid, format)
  await open({ types: { getTypeParser } as pg.CustomTypesConfig, maxUses: 1 })
  await pinned(async () => expect((await read('select 1.5::float8 as x')).rows).toEqual([{ x: '<1.5>' }]))
})

test('a value that cannot be sent fails its read, and nothing else', async () => {
  await open({ max: 1, maxUses: 1 })
  const cyclic: { self?: unknown } = {}
  cyclic.self = cyclic
  await pinned(async () => {
    await expect(sql`select ${cyclic}::text`.execute(db)).rejects.toThrow('circular')
    expect((await read('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

test('a parameter without a value is that statement’s own fault, and no node’s', async () => {
  await open({ maxUses: 1 })
  await pinned(async () => {
    expect(await codeOf(sql`select ${1}::int, $2::int`.execute(db))).toBe('08P01')
    expect(await nodesOf(() => read('select 1'))).toEqual(['replica-1: pin'])
  })
})
