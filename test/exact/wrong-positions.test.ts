import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { Position } from 'write-pinning'
import { parseLsn } from '../../src/lsn.ts'
import { seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { positionOf, wroteTo } from '../support/positions.ts'
import { useShop } from '../support/shop.ts'

// Ways to read a position that is too low. That each of them is caught says that the right way is tested.
const ROUNDS = 10
const { cluster, db, serveShop } = useShop({ replicas: 2 })
let client: pg.Client
let openAgent: () => UserAgent
/** Writes an item, and gives the position that is taken for that of its commit. */
let write: (name: string) => Promise<string>

beforeAll(async () => {
  client = new pg.Client(cluster.primary.connectionString)
  await client.connect()
  ;({ openAgent } = await serveShop(db, {}, async (shop) => {
    shop.post<{ Params: { name: string } }>('/write/:name', async ({ params: { name } }) => {
      const { systemId, timeline } = await positionOf(cluster.primary)
      const lsn = parseLsn(await write(name)) ?? 0n
      wroteTo('default', Promise.resolve({ systemId, timeline, lsn } satisfies Position))
      return name
    })
  }))
})

beforeEach(async () => {
  for (const replica of cluster.replicas) await replica.setApplyDelay(60)
})

afterEach(() => client.query('reset synchronous_commit'))

afterAll(() => client.end())

const INSERT = 'insert into item (name) values ($1)'
const FLUSHED = 'select pg_current_wal_flush_lsn()::text as lsn'
const INSERTED = 'select pg_current_wal_insert_lsn()::text as lsn'

async function lsnOf(sql: string, values: string[] = []): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>(sql, values)
  return rows[0]?.lsn ?? ''
}

/** How many of the rounds had a read on a replica that did not see the write before it. */
async function staleRounds(): Promise<number> {
  let stale = 0
  for (let round = 0; round < ROUNDS; round++) {
    const agent = openAgent()
    const name = `wrong-${Math.random().toString(36).slice(2)}`
    expect((await agent.post(`/write/${name}`)).status).toBe(200)
    // The primary serves until a replica has got as far as was said.
    const isThere = await vi.waitFor(
      async () => {
        const [isThere, node] = await seesOn(agent, name)
        if (node === 'primary') throw new Error('no replica serves')
        return isThere
      },
      { timeout: 5_000, interval: 1 },
    )
    if (!isThere) stale++
  }
  return stale
}

test('a position that is read after the commit is never too low', async () => {
  write = async (name) => {
    await client.query(INSERT, [name])
    return lsnOf(FLUSHED)
  }
  expect(await staleRounds()).toBe(0)
})

test('a position that is read inside the transaction is caught', async () => {
  write = async (name) => {
    await client.query('begin')
    await client.query(INSERT, [name])
    const lsn = await lsnOf(INSERTED)
    await client.query('commit')
    return lsn
  }
  expect(await staleRounds()).toBeGreaterThan(ROUNDS / 2)
})

test('a position that the write itself returns is caught', async () => {
  write = (name) => lsnOf(`${INSERT} returning pg_current_wal_insert_lsn()::text as lsn`, [name])
  expect(await staleRounds()).toBeGreaterThan(ROUNDS / 2)
})

test('a position that is read in one batch with the write is caught', async () => {
  write = async (name) => {
    const batch = await client.query(`insert into item (name) values ('${name}'); ${INSERTED}`)
    return (batch as unknown as pg.QueryResult<{ lsn: string }>[])[1]?.rows[0]?.lsn ?? ''
  }
  expect(await staleRounds()).toBeGreaterThan(ROUNDS / 2)
})

test('the position of what is flushed is caught where commits are asynchronous', async () => {
  for (const replica of cluster.replicas) await replica.setApplyDelay(0)
  await client.query('set synchronous_commit = off')
  write = async (name) => {
    await client.query(INSERT, [name])
    return lsnOf(FLUSHED)
  }
  expect(await staleRounds()).toBeGreaterThan(ROUNDS / 2)
})
