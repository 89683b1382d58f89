import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresCluster, type PostgresNode, startPostgresCluster } from 'write-pinning/testing'
import { eventually } from './eventually.ts'

describe('a primary and two replicas', () => {
  let cluster: PostgresCluster
  let primary: PostgresNode
  let replica: PostgresNode
  let other: PostgresNode

  beforeAll(async () => {
    cluster = await startPostgresCluster({ replicas: 2 })
    primary = cluster.primary
    ;[replica, other] = cluster.replicas as [PostgresNode, PostgresNode]
    await primary.query('create table note (text text)')
    await cluster.waitForCatchup()
  })

  afterAll(() => cluster?.stop())

  const write = (text: string) => primary.query('insert into note values ($1)', [text])
  const has = async (node: PostgresNode, text: string) =>
    (await node.query('select from note where text = $1', [text])).length === 1

  test('the nodes have names, ports and connection strings', () => {
    expect(cluster.nodes).toEqual([primary, replica, other])
    expect(cluster.nodes.map(({ name }) => name)).toEqual(['primary', 'replica-1', 'replica-2'])
    expect(new Set(cluster.nodes.map(({ port }) => port)).size).toBe(3)
    expect(primary.connectionString).toBe(`postgres://postgres@127.0.0.1:${primary.port}/test`)
  })

  test('after waitForCatchup, a write on the primary is on every replica', async () => {
    await write('replicated')
    await cluster.waitForCatchup()
    expect(await has(replica, 'replicated')).toBe(true)
    expect(await has(other, 'replicated')).toBe(true)
  })

  test('waitForCatchup waits for a commit that was not flushed, too', async () => {
    await primary.query('set synchronous_commit = off')
    await write('asynchronous')
    await cluster.waitForCatchup()
    await primary.query('reset synchronous_commit')
    expect(await has(replica, 'asynchronous')).toBe(true)
  })

  test('replicas refuse writes', async () => {
    await expect(replica.query("insert into note values ('no')")).rejects.toMatchObject({ code: '25006' })
  })

  test('lsn is the position that the primary wrote, and that a replica reaches', async () => {
    const before = await primary.lsn()
    await write('moves the position')
    const after = await primary.lsn()
    expect(after).not.toBe(before)
    await cluster.waitForCatchup()
    const [row] = await primary.query('select $1::pg_lsn >= $2::pg_lsn as reached', [
      await replica.lsn(),
      after,
    ])
    expect(row).toEqual({ reached: true })
  })

  test('a paused replica does not see a write until replay goes on', async () => {
    await replica.pauseReplay()
    await write('while paused')
    await cluster.waitForCatchup()
    expect(await has(other, 'while paused')).toBe(true)
    expect(await has(replica, 'while paused')).toBe(false)
    await replica.resumeReplay()
    await cluster.waitForCatchup()
    expect(await has(replica, 'while paused')).toBe(true)
  })

  test('an apply delay set at run time delays, and ends at once when it is taken away', async () => {
    await replica.setApplyDelay(60_000)
    await write('delayed')
    await eventually(() => has(other, 'delayed'))
    expect(await has(replica, 'delayed')).toBe(false)
    await replica.setApplyDelay(0)
    await cluster.waitForCatchup()
    expect(await has(replica, 'delayed')).toBe(true)
  })

  test('replay can be paused while a commit waits for its delay', async () => {
    await replica.setApplyDelay(60_000)
    await write('delayed, then paused')
    await eventually(() => has(other, 'delayed, then paused'))
    await replica.pauseReplay()
    await replica.setApplyDelay(0)
    await cluster.waitForCatchup()
    expect(await has(replica, 'delayed, then paused')).toBe(false)
    await replica.resumeReplay()
    await cluster.waitForCatchup()
    expect(await has(replica, 'delayed, then paused')).toBe(true)
  })

  test('a frozen replica answers nobody until it is thawed', async () => {
    const client = new Client(replica.connectionString)
    await client.connect()
    await replica.freeze()
    let isAnswered = false
    const answer = client.query('select 1').then(() => {
      isAnswered = true
    })
    await expect(replica.query('select 1')).rejects.toThrow('replica-1 is frozen; thaw() it first')
    await write('while frozen')
    await cluster.waitForCatchup()
    expect(await has(other, 'while frozen')).toBe(true)
    expect(isAnswered).toBe(false)
    await replica.thaw()
    await answer
    await client.end()
    await cluster.waitForCatchup()
    expect(await has(replica, 'while frozen')).toBe(true)
  })

  test('a killed replica comes back and catches up', async () => {
    await replica.kill()
    await expect(replica.query('select 1')).rejects.toThrow('replica-1 is stopped; start() it first')
    await write('while the replica was dead')
    await replica.restart()
    await cluster.waitForCatchup()
    expect(await has(replica, 'while the replica was dead')).toBe(true)
  })

  test('a killed primary comes back with every commit, and its replicas follow it again', async () => {
    await write('before the primary died')
    const { port } = primary
    await primary.kill()
    await primary.start()
    expect(primary.port).toBe(port)
    expect(await has(primary, 'before the primary died')).toBe(true)
    await write('after the primary died')
    await cluster.waitForCatchup()
    expect(await has(replica, 'after the primary died')).toBe(true)
    expect(await has(other, 'after the primary died')).toBe(true)
  })

  test.each(['smart', 'fast', 'immediate'] as const)(
    'a %s stop stops, and start starts again',
    async (mode) => {
      await other.stop(mode)
      await expect(other.query('select 1')).rejects.toThrow('replica-2 is stopped')
      await other.start()
      await write(`after a ${mode} stop`)
      await cluster.waitForCatchup()
      expect(await has(other, `after a ${mode} stop`)).toBe(true)
    },
  )

  test('what only replicas can do is refused on the primary', async () => {
    for (const wrong of [
      primary.pauseReplay(),
      primary.resumeReplay(),
      primary.setApplyDelay(1),
      primary.promote(),
    ]) {
      await expect(wrong).rejects.toThrow('primary is not a replica')
    }
  })

  test('a promoted replica takes writes', async () => {
    await write('before the promotion')
    await cluster.waitForCatchup()
    await primary.kill()
    await replica.promote()
    await replica.query("insert into note values ('after the promotion')")
    expect(await has(replica, 'before the promotion')).toBe(true)
    expect(await has(replica, 'after the promotion')).toBe(true)
  })
})

test('with applyDelayMs, a commit is not on the replica at first, and arrives', async () => {
  await using cluster = await startPostgresCluster({ applyDelayMs: 500 })
  const [replica] = cluster.replicas as [PostgresNode]
  const committed = performance.now()
  await cluster.primary.query('create table note (text text)')
  const isThere = async () => (await replica.query("select to_regclass('note') as note"))[0]?.note !== null
  expect(await isThere()).toBe(false)
  await cluster.waitForCatchup()
  expect(await isThere()).toBe(true)
  expect(performance.now() - committed).toBeGreaterThan(490)
})

test('with synchronous, a commit waits until every replica has applied it', async () => {
  await using cluster = await startPostgresCluster({ replicas: 2, synchronous: true })
  const [replica, other] = cluster.replicas as [PostgresNode, PostgresNode]
  await cluster.primary.query('create table note (text text)')
  expect(await replica.query('select * from note')).toEqual([])
  expect(await other.query('select * from note')).toEqual([])

  await replica.pauseReplay()
  let isCommitted = false
  const commit = cluster.primary.query("insert into note values ('held up')").then(() => {
    isCommitted = true
  })
  await eventually(async () => (await other.query('select * from note')).length === 1)
  expect(isCommitted).toBe(false)
  await replica.resumeReplay()
  await commit
  expect(await replica.query('select * from note')).toEqual([{ text: 'held up' }])
})

test('two clusters run at once, without knowing of each other', async () => {
  const [one, two] = await Promise.all([startPostgresCluster(), startPostgresCluster({ database: 'second' })])
  try {
    await one.primary.query('create table only_here (id int)')
    await Promise.all([one.waitForCatchup(), two.waitForCatchup()])
    const tables = "select to_regclass('only_here') is not null as here, current_database() as database"
    expect(await one.replicas[0]?.query(tables)).toEqual([{ here: true, database: 'test' }])
    expect(await two.replicas[0]?.query(tables)).toEqual([{ here: false, database: 'second' }])
  } finally {
    await Promise.all([one.stop(), two.stop()])
  }
})
