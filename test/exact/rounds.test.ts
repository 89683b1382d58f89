import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { ASYNCHRONOUSLY } from '../support/async-commit.ts'
import { makeNoise, type RoundsReport, runRounds } from '../support/exact-rounds.ts'
import { useShop } from '../support/shop.ts'

// Who has written reads right afterwards. A few rounds of each kind; thousands of them run with the fault tests.
const ROUNDS = 40
const { cluster, open, atEnd } = useShop({ replicas: 2 })
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
})

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
      atEnd(() => db.destroy())
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
