import { once } from 'node:events'
import pg from 'pg'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { startShop } from '../support/cluster.ts'
import { nodesOf } from './client.ts'

// What a pool of `pg` is to whoever holds one, beside what it answers.
const cluster = await startShop(1)
const open: pg.Pool[] = []

afterEach(async () => {
  for (const pool of open.splice(0)) if (!pool.ending) await pool.end()
})

afterAll(() => cluster.stop())

const kinds: Record<string, (max?: number) => pg.Pool> = {
  'a plain pool': (max = 10) => new pg.Pool({ connectionString: cluster.primary.connectionString, max }),
  'the pool': (max = 10) => {
    const { primary, replicas } = nodesOf(cluster)
    return new PrimaryReplicaPool({
      primary: { ...primary, max },
      replicas: replicas.map((replica) => ({ ...replica, max })),
    })
  },
}

describe.each(Object.entries(kinds))('%s', (_kind, make) => {
  const opened = (max?: number) => {
    const pool = make(max)
    open.push(pool)
    return pool
  }

  it('is a pool of `pg`', async () => {
    const pool = opened()
    expect(pool).toBeInstanceOf(pg.Pool)
    expect(Object.getPrototypeOf(pool).constructor.name).toContain('Pool')
    expect(pool.options).toMatchObject({ connectionString: cluster.primary.connectionString, max: 10 })
    expect({ ending: pool.ending, ended: pool.ended }).toEqual({ ending: false, ended: false })
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([0, 0, 0])
    const ended = pool.end()
    expect(pool.ending).toBe(true)
    await ended
    expect(pool.ended).toBe(true)
  })

  it('counts its connections', async () => {
    const pool = opened()
    const client = await pool.connect()
    await client.query('select 1')
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 0])
    client.release()
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1])
  })

  it('tells of what becomes of its connections', async () => {
    const pool = opened()
    const told: string[] = []
    for (const event of ['connect', 'acquire', 'release', 'remove']) {
      pool.on(event as 'connect', () => told.push(event))
    }
    const client = await pool.connect()
    await client.query('select 1')
    client.release(true)
    await expect.poll(() => told.toSorted()).toEqual(['acquire', 'connect', 'release', 'remove'])
    expect(pool.totalCount).toBe(0)
  })

  it('lends a client to a callback', async () => {
    const pool = opened()
    const rows = await new Promise((resolve, reject) => {
      pool.connect((error, client, release) => {
        if (client === undefined) return reject(error)
        client.query('select 1 as one', (failed, result) => {
          release()
          if (failed) reject(failed)
          else resolve(result.rows)
        })
      })
    })
    expect(rows).toEqual([{ one: 1 }])
    await expect.poll(() => [pool.totalCount, pool.idleCount]).toEqual([1, 1])
  })

  it('refuses a client that is given back twice', async () => {
    const client = await opened().connect()
    client.release()
    expect(() => client.release()).toThrow(/already been released/)
  })

  it('has one client wait for another where there is only one connection', async () => {
    const pool = opened(1)
    const order: string[] = []
    const first = await pool.connect()
    await first.query('select 1')
    const second = pool.connect().then(async (client) => {
      await client.query('select 1')
      order.push('second')
      client.release()
    })
    await expect.poll(() => pool.waitingCount).toBe(1)
    order.push('first')
    first.release()
    await second
    expect(order).toEqual(['first', 'second'])
  })

  it('ends with a callback', async () => {
    const pool = opened()
    await pool.query('select 1')
    await new Promise<void>((resolve) => void pool.end(() => resolve()))
    expect(pool.ended).toBe(true)
  })

  it('waits, as it ends, for what is lent', async () => {
    const pool = opened()
    const client = await pool.connect()
    await client.query('select 1')
    let isEnded = false
    const ended = pool.end().then(() => {
      isEnded = true
    })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(isEnded).toBe(false)
    client.release()
    await ended
  })

  it('refuses whatever comes after its end', async () => {
    const pool = opened()
    await pool.query('select 1')
    await pool.end()
    await expect(pool.query('select 1')).rejects.toThrow('Cannot use a pool after calling end on the pool')
    await expect(pool.connect()).rejects.toThrow('Cannot use a pool after calling end on the pool')
    await expect(pool.end()).rejects.toThrow('Called end on pool more than once')
  })

  it('hands an error of a connection to whoever listens, idle or lent', async () => {
    const pool = opened()
    const client = await pool.connect()
    await client.query('select 1')
    // A second one may follow: the server says why it ends the session, and then the socket is closed.
    client.on('error', () => {})
    const ofClient = once(client, 'error')
    const terminate = 'select pg_terminate_backend(pid, 10000) from pg_stat_activity where pid = $1'
    const { rows } = await client.query('select pg_backend_pid() as pid')
    await cluster.primary.query(terminate, [rows[0].pid])
    expect((await ofClient)[0]).toBeInstanceOf(Error)
    client.release(true)
    const idle = (await pool.query('select pg_backend_pid() as pid')).rows[0].pid
    pool.on('error', () => {})
    const ofPool = once(pool, 'error')
    await cluster.primary.query(terminate, [idle])
    expect((await ofPool)[0]).toBeInstanceOf(Error)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('ends no process by an error of an idle connection of which somebody hears', async () => {
    const pool = opened()
    pool.on('error', () => {})
    const { pid } = (await pool.query('select pg_backend_pid() as pid')).rows[0]
    await cluster.primary.query('select pg_terminate_backend($1, 10000)', [pid])
    await expect.poll(() => pool.totalCount).toBe(0)
  })

  it('says what its session is, once it has one', async () => {
    const client = await opened().connect()
    const { rows } = await client.query('select pg_backend_pid() as pid')
    expect((client as unknown as { processID: number }).processID).toBe(rows[0].pid)
    client.release()
  })

  it('tells a client once it has nothing more to do', async () => {
    const client = await opened().connect()
    const drained = once(client, 'drain')
    await client.query('select 1')
    await drained
    client.release()
  })
})

it('the pool leaves the connections of both nodes to be counted', async () => {
  const pool = kinds['the pool']?.() as pg.Pool
  open.push(pool)
  await usePrimary(() => pool.query('select 1'))
  await useReplica(() => pool.query('select 1'))
  expect([pool.totalCount, pool.idleCount]).toEqual([2, 2])
})

it('ends the pools that it was given, also where it was never used', async () => {
  const [primary, replica, late] = Array.from(
    { length: 3 },
    () => new pg.Pool({ connectionString: cluster.primary.connectionString }),
  ) as [pg.Pool, pg.Pool, pg.Pool]
  // It is somebody else's as well, who has connected it.
  await replica.query('select 1')
  let calls = 0
  const made = () => {
    calls++
    return late
  }
  const pool = new PrimaryReplicaPool({ primary, replicas: [{ name: 'one', pool: replica }, made] })
  await pool.end()
  expect([primary.ended, replica.ended, replica.totalCount]).toEqual([true, true, 0])
  // What was never asked for is nobody's.
  expect([calls, late.ended]).toEqual([0, false])
  await late.end()
})
