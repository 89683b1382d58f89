import { type Kysely, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { ASYNCHRONOUSLY, type Committing } from '../support/async-commit.ts'
import type { Database } from '../support/cluster.ts'
import { makeNoise, type RoundsReport, runRounds } from '../support/exact-rounds.ts'
import { useShop } from '../support/shop.ts'

// Thousands of writes. The user agent that made a write reads it right afterwards.
const ROUNDS = 3_000
const { cluster, open, atEnd } = useShop({ replicas: 2 })

const PROMISED: Partial<RoundsReport> = { stale: 0, waitedForNothing: 0 }

const KINDS: Record<string, { flushes: boolean; begin: () => Promise<Committing> }> = {
  'synchronous commits': {
    flushes: true,
    begin: async () => {
      const db = open()
      return { db, write: (name) => insert(db, name) }
    },
  },
  'asynchronous commits': {
    flushes: false,
    begin: async () => (ASYNCHRONOUSLY['a hook of the pool'] as (typeof ASYNCHRONOUSLY)[string])(cluster),
  },
}

function insert(db: Kysely<Database>, name: string): Promise<unknown> {
  return db.insertInto('item').values({ name }).execute()
}

for (const [kind, { flushes, begin }] of Object.entries(KINDS)) {
  const run = async (
    what: string,
    isFlushed = flushes,
    after?: (db: Kysely<Database>) => Promise<unknown>,
  ) => {
    const { db, write } = await begin()
    atEnd(() => db.destroy())
    const report = await runRounds({
      cluster,
      db,
      rounds: ROUNDS,
      flushes: isFlushed,
      write: async (name) => {
        await write(name)
        await after?.(db)
      },
    })
    console.info(`${kind}, ${what}:`, report)
    expect(report).toMatchObject(PROMISED)
    // Each stands for 250 ms in which the primary did not answer.
    expect(report.withoutPosition).toBeLessThanOrEqual(report.afterCatchup / 20)
  }

  describe(`${ROUNDS} rounds of ${kind}`, () => {
    test('by themselves', () => run('by themselves'))

    test('while other sessions write what they do not commit', async () => {
      const silence = await makeNoise(cluster.primary)
      await run('noise').finally(silence)
    })

    test('while segments of the WAL are switched on an idle system', async () => {
      let round = 0
      // A segment is 16 MiB, to the last byte. To the router, the switch is a write, too, and of a kind that flushes
      // nothing.
      await run('switched', false, async (db) => {
        if (round++ % 25 === 24) await sql`select pg_switch_wal()`.execute(db)
      })
    })

    test('while replicas apply commits later', async () => {
      for (const replica of cluster.replicas) await replica.setApplyDelay(20)
      await run('delayed')
      for (const replica of cluster.replicas) await replica.setApplyDelay(0)
    })
  })
}
