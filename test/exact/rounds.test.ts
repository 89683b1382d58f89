import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { ASYNCHRONOUSLY } from '../support/async-commit.ts'
import { openDatabase, startShop } from '../support/cluster.ts'
import { makeNoise, type RoundsReport, runRounds } from '../support/exact-rounds.ts'

// Who has written reads right afterwards. A few rounds of each kind; thousands of them run with the fault tests.
const ROUNDS = 40
let cluster: PostgresCluster
let replica: PostgresNode
const opened: { destroy(): Promise<void> }[] = []

beforeAll(async () => {
  cluster = await startShop(2)
  replica = cluster.replicas[0] as PostgresNode
})

afterEach(async () => {
  for (const db of opened.splice(0)) await db.destroy()
})

afterAll(() => cluster.stop())

function open() {
  const db = openDatabase(cluster)
  opened.push(db)
  return db
}

const ASYNC = { catchUpEvery: 5, flushes: false }
const PROMISED: Partial<RoundsReport> = { stale: 0, withoutPosition: 0, waitedForNothing: 0 }

describe('a read after a write sees it, and whoever has caught up serves it, where commits are synchronous', () => {
  const insert = (db: ReturnType<typeof open>) => (name: string) =>
    db.insertInto('item').values({ name }).execute()

  test('and nothing else is written', async () => {
    const db = open()
    const report = await runRounds({ cluster, db, rounds: ROUNDS, write: insert(db), catchUpEvery: 5 })
    expect(report).toMatchObject(PROMISED)
  })

  test('in a transaction', async () => {
    const db = open()
    const write = (name: string) => db.transaction().execute((trx) => insert(trx)(name))
    expect(await runRounds({ cluster, db, rounds: ROUNDS, write, catchUpEvery: 5 })).toMatchObject(PROMISED)
  })

  test('while other sessions write what they do not commit', async () => {
    const silence = await makeNoise(cluster.primary)
    const db = open()
    const report = await runRounds({ cluster, db, rounds: ROUNDS, write: insert(db), catchUpEvery: 5 })
    await silence()
    expect(report).toMatchObject(PROMISED)
  })

  test('while a replica applies commits later', async () => {
    for (const each of cluster.replicas) await each.setApplyDelay(20)
    const db = open()
    const report = await runRounds({ cluster, db, rounds: ROUNDS, write: insert(db), catchUpEvery: 10 })
    for (const each of cluster.replicas) await each.setApplyDelay(0)
    expect(report).toMatchObject(PROMISED)
    expect(replica.name).toBe('replica-1')
  })

  test('and the position is that of a header behind which nothing was ever written', async () => {
    const db = open()
    const write = async (name: string) => {
      await insert(db)(name)
      await sql`select pg_switch_wal()`.execute(db)
    }
    expect(await runRounds({ cluster, db, rounds: 5, write, catchUpEvery: 1, flushes: false })).toMatchObject(
      PROMISED,
    )
  })
})

describe('the same, where commits are asynchronous by', () => {
  for (const [what, begin] of Object.entries(ASYNCHRONOUSLY)) {
    test(what, async () => {
      const { db, write } = await begin(cluster)
      opened.push(db)
      expect(await runRounds({ cluster, db, rounds: ROUNDS, write, ...ASYNC })).toMatchObject(PROMISED)
    })
  }

  test('the database', async () => {
    await cluster.primary.query('alter database test set synchronous_commit = off')
    const db = open()
    const write = (name: string) => db.insertInto('item').values({ name }).execute()
    const report = await runRounds({ cluster, db, rounds: ROUNDS, write, ...ASYNC })
    await cluster.primary.query('alter database test reset synchronous_commit')
    expect(report).toMatchObject(PROMISED)
  })

  test('the server, from one moment to the next', async () => {
    const db = open()
    const write = (name: string) => db.insertInto('item').values({ name }).execute()
    expect(await runRounds({ cluster, db, rounds: 5, write })).toMatchObject(PROMISED)
    await cluster.primary.query('alter system set synchronous_commit = off')
    await cluster.primary.query('select pg_reload_conf()')
    const report = await runRounds({ cluster, db, rounds: ROUNDS, write, ...ASYNC })
    await cluster.primary.query('alter system reset synchronous_commit')
    await cluster.primary.query('select pg_reload_conf()')
    expect(report).toMatchObject(PROMISED)
  })
})
