import pg from 'pg'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { startShop } from '../support/cluster.ts'
import { clientsOf, terminateClients } from '../support/server-clients.ts'
import { APPLICATION, nodesOf } from './client.ts'

const cluster = await startShop(1)

afterAll(() => cluster.stop())

// Whatever was ended leaves no session.
afterEach(async () => {
  for (const node of cluster.nodes) await expect.poll(() => clientsOf(node, APPLICATION)).toEqual([])
})

async function open() {
  const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), withoutContext: 'replica' })
  await pool.ready()
  const client = new pool.driver.Client()
  await client.connect()
  return { pool, client }
}

const ENDED = 'Cannot use a pool after calling end on the pool'
const messageOf = (query: Promise<unknown>) =>
  query.then(
    () => 'done',
    (error: Error) => error.message,
  )

describe('a pool that ends', () => {
  it('does not wait for idle clients, which can still be ended, and take no query', async () => {
    const { pool, client } = await open()
    await client.query('select 1')
    await pool.end()
    expect(await messageOf(client.query('select 1'))).toBe(ENDED)
    await client.end()
  })

  it('ends the clients that keep a session without a transaction, and they say so', async () => {
    const { pool, client } = await open()
    await client.query('listen news')
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    await pool.end()
    await ended
    expect(await messageOf(client.query('select 1'))).toMatch('not queryable')
    await client.end()
  })

  it('waits for what is under way and what is queued behind it', async () => {
    const { pool, client } = await open()
    const queries = [
      client.query('select pg_sleep(0.2)'),
      client.query('select 1'),
      client.query('listen news'),
    ]
    const ended = pool.end()
    expect(await Promise.all(queries.map(messageOf))).toEqual(['done', 'done', 'done'])
    await ended
    await client.end()
  })

  it('waits for a transaction, which can be committed', async () => {
    const { pool, client } = await open()
    await client.query('begin')
    const ended = pool.end()
    await client.query("insert into item (name) values ('lamp')")
    await client.query('commit')
    await ended
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'lamp' }])
    await client.end()
  })

  it('refuses a client that connects after that', async () => {
    const { pool, client } = await open()
    await pool.end()
    const other = new pool.driver.Client()
    const early = messageOf(other.query('select 1'))
    expect(await messageOf(other.connect())).toBe(ENDED)
    expect(await early).toBe(ENDED)
    await client.end()
    await other.end()
  })

  it('leaves a pool of its driver that can be ended as well, before it or after', async () => {
    for (const isFirst of [true, false]) {
      const { pool } = await open()
      const its = new pool.driver.Pool({ max: 3 })
      await Promise.all([1, 2, 3, 4].map((n) => its.query('select $1::int', [n])))
      const [one, other] = isFirst ? [its, pool] : [pool, its]
      await one.end()
      await other.end()
    }
  })
})

it('a pool of the driver whose errors nobody hears ends no process where an idle client loses its session', async () => {
  const { pool, client } = await open()
  const its = new pool.driver.Pool({ max: 1 })
  const lent = await its.connect()
  await lent.query('listen news')
  lent.release()
  const removed = new Promise((resolve) => its.once('remove', resolve))
  await terminateClients(cluster.primary)
  expect(await removed).toBe(lent)
  expect((await its.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await its.end()
  await client.end()
  await pool.end()
})

describe('without any server', () => {
  const nowhere = { host: '127.0.0.1', port: 1, user: 'a', database: 'b' }

  it('a client connects, and says with its first query what pg says; nothing behind that query is sent', async () => {
    const pool = new PrimaryReplicaPool({ primary: nowhere, replicas: [nowhere] })
    const client = new pool.driver.Client()
    await client.connect()
    const told = new Promise((resolve) => client.once('error', resolve))
    const texts = ['begin', 'insert into item default values', 'commit']
    const queries = texts.map((text) => messageOf(client.query(text)))
    const plain = new pg.Client(nowhere)
    const theirs = await messageOf(plain.connect())
    expect(await Promise.all(queries)).toEqual([theirs, theirs, theirs])
    expect(await told).toMatchObject({ code: 'ECONNREFUSED' })
    expect(await messageOf(client.query('select 1'))).toMatch('not queryable')
    await client.end()
    await pool.end()
  })

  it('a client whose errors nobody hears ends no process', async () => {
    const pool = new PrimaryReplicaPool({ primary: nowhere, replicas: [] })
    const client = new pool.driver.Client()
    await client.connect()
    expect(await messageOf(client.query('select 1'))).toMatch('ECONNREFUSED')
    await client.end()
    await client.end()
    await pool.end()
  })
})
