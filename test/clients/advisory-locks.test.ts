import knexOf from 'knex'
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { useCluster } from '../support/shop.ts'

// A client that holds no connection while it is idle keeps the session in which it has a lock, and no longer than it has one.

const { cluster, atEnd } = useCluster({ replicas: 1, sql: 'create table item (name text)' })

/** A pool with so many connections to the primary. */
function open(max = 5): PrimaryReplicaPool {
  const pool = new PrimaryReplicaPool({
    primary: { connectionString: cluster.primary.connectionString, max },
    replicas: [cluster.replicas[0]?.connectionString],
  })
  atEnd(() => pool.end())
  return pool
}

async function clientOf(pool: PrimaryReplicaPool): Promise<pg.Client> {
  const client = new pool.driver.Client()
  client.on('error', () => {})
  await client.connect()
  atEnd(() => client.end())
  return client
}

const busyOf = (pool: PrimaryReplicaPool) => pool.status().nodes[0]?.busy
const isFree = (pool: PrimaryReplicaPool) => expect.poll(() => busyOf(pool)).toBe(0)
/** The locks that are held on the primary, by whomever. */
const locks = async () =>
  (
    await cluster.primary.query(
      "select objid::int as key from pg_locks where locktype = 'advisory' and granted",
    )
  ).map(({ key }) => key)
const pidOf = async (client: pg.Client) =>
  (await client.query('insert into item values (null) returning pg_backend_pid() as pid')).rows[0]?.pid

describe('a client that has let go of its lock', () => {
  it('holds no session any more, so that others find one, and the session goes on', async () => {
    const pool = open(1)
    const [client, other] = [await clientOf(pool), await clientOf(pool)]
    for (let round = 0; round < 3; round++) {
      await client.query('select pg_advisory_lock(1)')
      const pid = await pidOf(client)
      expect(busyOf(pool)).toBe(1)
      expect(await locks()).toEqual([1])
      await client.query('select pg_advisory_unlock(1)')
      await isFree(pool)
      expect(await locks()).toEqual([])
      expect(await pidOf(other)).toBe(pid)
    }
    expect(pool.totalCount).toBeLessThanOrEqual(2)
  })

  it.each<[how: string, lock: string[], unlock: string[]]>([
    [
      'each of two',
      ['select pg_advisory_lock(1)', 'select pg_advisory_lock(2)'],
      ['select pg_advisory_unlock(1)', 'select pg_advisory_unlock(2)'],
    ],
    [
      'one that it has twice',
      ['select pg_advisory_lock(1)', 'select pg_advisory_lock(1)'],
      ['select pg_advisory_unlock(1)', 'select pg_advisory_unlock(1)'],
    ],
    [
      'all at once',
      ['select pg_advisory_lock_shared(1)', 'select pg_try_advisory_lock(2)'],
      ['SELECT PG_ADVISORY_UNLOCK_ALL()'],
    ],
    [
      'one in a transaction',
      ['select pg_advisory_lock(1)'],
      ['begin', 'select pg_advisory_unlock(1), pg_advisory_xact_lock(5)', 'commit'],
    ],
    [
      'one in a transaction that is rolled back',
      ['begin', 'select pg_advisory_lock(1)', 'rollback'],
      ['select pg_advisory_unlock(1)'],
    ],
    [
      'one that it has set something for',
      ["set application_name = 'own'", 'select pg_advisory_lock(1)'],
      ['reset application_name', 'select pg_advisory_unlock(1)'],
    ],
  ])('%s', async (_how, lock, unlock) => {
    const pool = open()
    const client = await clientOf(pool)
    for (const text of lock) await client.query(text)
    for (const text of unlock) {
      expect(busyOf(pool)).toBe(1)
      await client.query(text)
    }
    await isFree(pool)
    expect(await locks()).toEqual([])
  })

  it('also where what comes next does not wait for that', async () => {
    const pool = open()
    const client = await clientOf(pool)
    await client.query('select pg_advisory_lock(1)')
    await Promise.all([client.query('select pg_advisory_unlock(1)'), client.query('select 1')])
    await client.query('select 2')
    await isFree(pool)
  })

  it('or was not granted one', async () => {
    const pool = open()
    const [client, other] = [await clientOf(pool), await clientOf(pool)]
    await client.query('select pg_advisory_lock(1)')
    const { rows } = await other.query('select pg_try_advisory_lock(1) as it')
    expect(rows).toEqual([{ it: false }])
    await expect.poll(() => busyOf(pool)).toBe(1)
    await client.query('select pg_advisory_unlock(1)')
    await isFree(pool)
  })

  it("in Knex, which keeps two clients for ever, so that a small pool is everybody's", async () => {
    const pool = open(2)
    const db = knexOf({ client: knexClient(pool), pool: { min: 2, max: 5 } })
    atEnd(() => db.destroy())
    const locked = async () => {
      const client = await db.client.acquireConnection()
      try {
        await db.raw('select pg_advisory_lock(1)').connection(client)
        await db.raw('select pg_advisory_unlock(1)').connection(client)
      } finally {
        await db.client.releaseConnection(client)
      }
    }
    await Promise.all([locked(), locked(), locked()])
    await isFree(pool)
    expect(await locks()).toEqual([])
    expect(await db('item').insert({ name: 'lamp' }, 'name')).toEqual([{ name: 'lamp' }])
  })
})

describe('a client keeps its session', () => {
  const keepsOf = async (texts: readonly string[]) => {
    const pool = open()
    const client = await clientOf(pool)
    for (const text of texts) await client.query(text)
    const pid = (await client.query('select pg_backend_pid() as pid')).rows[0]?.pid
    // What asks the server is over by then.
    for (let round = 0; round < 3; round++) {
      await client.query('select 1')
      expect(busyOf(pool)).toBe(1)
    }
    return { client, pid, pool }
  }

  it.each<[why: string, texts: string[]]>([
    ['a lock that it has once more', Array(2).fill('select pg_advisory_lock(1)')],
    ['another lock', ['select pg_advisory_lock(1)', 'select pg_advisory_lock(2)']],
    ['a temporary table', ['select pg_advisory_lock(1)', 'create temporary table basket (id int)']],
    ['one from before', ['create temporary table basket (id int)', 'select pg_advisory_lock(1)']],
    ['what it listens to', ['listen news; select pg_advisory_lock(1)']],
    ['what nobody knows', ['select pg_advisory_lock(1)', 'do $$ begin perform pg_advisory_lock(2); end $$']],
  ])('for %s', async (_why, texts) => {
    const { client, pid } = await keepsOf([...texts, 'select pg_advisory_unlock(1)'])
    expect(await client.query('select pg_backend_pid() as pid')).toMatchObject({ rows: [{ pid }] })
  })

  it('for a lock that it takes again before it could be asked', async () => {
    const pool = open()
    const client = await clientOf(pool)
    await client.query('select pg_advisory_lock(1)')
    await Promise.all([
      client.query('select pg_advisory_unlock(1)'),
      client.query('select pg_advisory_lock(1)'),
      client.query('select 1'),
    ])
    expect(await locks()).toEqual([1])
    expect(busyOf(pool)).toBe(1)
    await client.query('select pg_advisory_unlock(1)')
    await isFree(pool)
    expect(await locks()).toEqual([])
  })

  it('and its end closes it with the lock', async () => {
    const { client, pool } = await keepsOf(['select pg_advisory_lock(7)', 'select pg_advisory_unlock(1)'])
    expect(await locks()).toEqual([7])
    await client.end()
    await isFree(pool)
    await expect.poll(() => locks()).toEqual([])
  })
})
