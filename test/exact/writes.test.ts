import { type Kysely, sql } from 'kysely'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { stringFor } from '../support/async-commit.ts'
import { type Database, openDatabase, startShop } from '../support/cluster.ts'
import { heldBy, pinOfAgent, seesOn } from '../support/exact.ts'
import { UserAgent } from '../support/http.ts'
import { type OwnQuestions, poolThatCounts } from '../support/own-questions.ts'
import { whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// What the pin of a write holds, however it is made and whatever goes wrong meanwhile.
const { cluster, open, serveShop, atEnd } = useShop()
let asked: OwnQuestions
let db: Kysely<Database>

beforeEach(() => {
  asked = poolThatCounts(cluster.primary)
  db = open({ primary: asked.pool })
})

/** Serves what `write` does as a POST, and opens a user agent. */
async function serve(write: (name: string) => Promise<unknown>, on = db): Promise<UserAgent> {
  const { openAgent } = await serveShop(on, {}, async (shop) => {
    shop.post<{ Params: { name: string } }>('/write/:name', async ({ params: { name } }) => {
      await write(name)
      return name
    })
  })
  return openAgent()
}

const insert = (name: string, on = db) => on.insertInto('item').values({ name }).execute()
const exact = expect.any(BigInt)

async function heldAfter(agent: UserAgent, name: string) {
  expect((await agent.post(`/write/${name}`)).status).toBe(200)
  return heldBy(await pinOfAgent(agent))
}

describe('the pin of a request', () => {
  test('with two writes at the same time holds a position behind both', async () => {
    const agent = await serve((name) => Promise.all([insert(`${name}-1`), insert(`${name}-2`)]))
    expect(await heldAfter(agent, 'two')).toEqual(exact)
    for (const name of ['two-1', 'two-2']) expect((await seesOn(agent, name))[0]).toBe(true)
  })

  test('with two transactions at the same time, of which one is not flushed, holds a position behind both', async () => {
    const relaxed = (name: string) =>
      db.transaction().execute(async (trx) => {
        await sql`set local synchronous_commit = off`.execute(trx)
        await insert(name, trx)
      })
    const agent = await serve((name) => Promise.all([relaxed(`${name}-1`), insert(`${name}-2`)]))
    for (let round = 0; round < 20; round++) {
      expect(await heldAfter(agent, `mixed${round}`)).toEqual(exact)
      for (const each of [1, 2]) expect((await seesOn(agent, `mixed${round}-${each}`))[0]).toBe(true)
    }
  })

  test('that rolled back holds nothing of it', async () => {
    const agent = await serve((name) =>
      db
        .transaction()
        .execute(async (trx) => {
          await insert(name, trx)
          throw new Error('no')
        })
        .catch(() => {}),
    )
    // The POST itself pins all the same: it may have written by other means.
    expect(await heldAfter(agent, 'rolled-back')).toBe('primary')
  })

  test('that began a transaction by a text of its own, and ended it so, holds the position of its commit', async () => {
    const agent = await serve((name) =>
      db.connection().execute(async (on) => {
        await sql`begin`.execute(on)
        await insert(name, on)
        await sql`commit`.execute(on)
      }),
    )
    expect(await heldAfter(agent, 'raw')).toEqual(exact)
  })

  test('of a role without any privilege of its own holds a position', async () => {
    await cluster.primary.query('create role plain login')
    await cluster.primary.query('grant insert, select on item to plain; grant usage on item_id_seq to plain')
    await cluster.waitForCatchup()
    const [replica] = cluster.replicas
    const plain = open({
      primary: stringFor(cluster, 'plain', 'test'),
      replicas: [`postgres://plain@${replica?.host}:${replica?.port}/test`],
    })
    const agent = await serve((name) => insert(name, plain), plain)
    expect(await heldAfter(agent, 'plain')).toEqual(exact)
    await cluster.waitForCatchup()
    expect(await seesOn(agent, 'plain')).toEqual([true, 'replica-1'])
  })
})

describe('two clusters in one application', () => {
  test('have a place of their own in the pin, and a write to one binds nobody in the other', async () => {
    const other = await startShop(1)
    const stock = openDatabase(other, { name: 'stock' })
    atEnd(async () => {
      await stock.destroy()
      await other.stop()
    })
    const { openAgent } = await serveShop(db, {}, async (shop) => {
      shop.post('/both', () => Promise.all([insert('both'), insert('both', stock)]))
      shop.post('/stock', () => insert('stock', stock))
    })
    const agent = openAgent()
    await agent.post('/stock')
    expect(heldBy(await pinOfAgent(agent), 'stock')).toEqual(exact)
    expect(heldBy(await pinOfAgent(agent))).toBeUndefined()
    await other.replicas[0]?.pauseReplay()
    await agent.post('/both')
    await cluster.waitForCatchup()
    expect(await seesOn(agent, 'both')).toEqual([true, 'replica-1'])
    expect(heldBy(await pinOfAgent(agent), 'stock')).toEqual(exact)
  })
})

describe('one position read', () => {
  test('serves all who write meanwhile: never are two under way', async () => {
    const agent = await serve((name) => insert(name))
    await heldAfter(agent, 'first')
    asked.positions = 0
    const writers = Array.from({ length: 32 }, async (_, writer) => {
      for (let round = 0; round < 5; round++) await agent.post(`/write/many-${writer}-${round}`)
    })
    await Promise.all(writers)
    expect(asked.mostAtOnce).toBe(1)
    expect(asked.positions).toBeLessThan(160)
    expect(heldBy(await pinOfAgent(agent))).toEqual(exact)
  })

  test('is made for nobody who does not want it', async () => {
    const { openAgent } = await serveShop(db, { pin: 'time' })
    await openAgent().post('/items/timely')
    expect(asked.positions).toBe(0)
  })
})

describe('where no position can be read', () => {
  test('because its connection was lost, the response is not held up, and the next ones have exact pins', async () => {
    const agent = await serve((name) => insert(name))
    await heldAfter(agent, 'before')
    await cluster.primary.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'write-pinning'",
    )
    const beforeMs = performance.now()
    const held = await heldAfter(agent, 'meanwhile')
    expect(performance.now() - beforeMs).toBeLessThan(400)
    expect(['bigint', 'string']).toContain(typeof held)
    expect((await seesOn(agent, 'meanwhile'))[0]).toBe(true)
    // Another one: a time pin that the first was given lasts.
    const other = () => new UserAgent(agent.origin)
    await vi.waitFor(async () => expect(await heldAfter(other(), 'after')).toEqual(exact), {
      timeout: 5_000,
    })
  })

  test('because the server does not answer, the response is held for 250 ms at most, with a time pin', async () => {
    const proxy = await TcpProxy.start(cluster.primary)
    const { pool } = poolThatCounts(cluster.primary, { host: '127.0.0.1', port: proxy.port })
    const frozen = openDatabase(cluster, { primary: pool })
    atEnd(async () => {
      await proxy.stop()
      await frozen.destroy()
    })
    const agent = await serve((name) => insert(name, frozen), frozen)
    expect(await heldAfter(agent, 'warm')).toEqual(exact)
    await proxy.blackHole()
    const beforeMs = performance.now()
    expect(await heldAfter(new UserAgent(agent.origin), 'held')).toBe('primary')
    expect(performance.now() - beforeMs).toBeLessThan(400)
    await proxy.forward()
    await vi.waitFor(
      async () => expect(await heldAfter(new UserAgent(agent.origin), 'healed')).toEqual(exact),
      {
        timeout: 5_000,
      },
    )
  })

  test('because the outcome is unknown, it is a time pin, whatever is written after it', async () => {
    const proxy = await TcpProxy.start(cluster.primary)
    const cut = openDatabase(cluster, { primary: proxy.connectionString })
    atEnd(async () => {
      await cut.destroy()
      await proxy.stop()
    })
    const agent = await serve(async (name) => {
      const failed = cut.transaction().execute((trx) => insert(name, trx))
      await expect(failed).rejects.toThrow()
      await insert(`${name}-again`, cut)
    }, cut)
    // The catalog is read in transactions of its own, over the same proxy.
    await whenCatalogIsRead(cut)
    // And not the message in which a write asks for `synchronous_commit`.
    const done = proxy.cutWhen((bytes) => bytes.includes('commit\0'), 'delivered')
    expect(await heldAfter(agent, 'unknown')).toBe('primary')
    await done
  })
})

test('a write that a stream makes is pinned by its position', async () => {
  const agent = await serve(async (name) => {
    const rows = db.insertInto('item').values({ name }).returning('id').stream()
    for await (const row of rows) expect(row.id).toBeGreaterThan(0)
  })
  expect(await heldAfter(agent, 'streamed')).toEqual(exact)
  expect((await seesOn(agent, 'streamed'))[0]).toBe(true)
})
