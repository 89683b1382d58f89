import { type Kysely, sql } from 'kysely'
import { describe, expect, test, vi } from 'vitest'
import { useReplica } from 'write-pinning'
import type { Database } from '../support/cluster.ts'
import { inRequest } from '../support/request.ts'
import { clientsOf, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'
import { withResolvers } from '../support/with-resolvers.ts'

// A session is one connection's, from when it takes it until it gives it back, and nobody else's; nor is it replaced by another unseen.
const { cluster, watch } = useShop({ isOfEachTest: true })

async function open(options: Parameters<typeof Watched.open>[1]): Promise<Watched> {
  const watched = await watch(options, { counts: false })
  await watched.untilEligible('replica-1')
  return watched
}

describe('a connection whose primary is not the primary any more', () => {
  const add = (on: Kysely<Database>, name: string) => on.insertInto('item').values({ name }).execute()
  const uses: [
    string,
    (on: Kysely<Database>) => Promise<unknown>,
    (on: Kysely<Database>) => Promise<unknown>,
  ][] = [
    [
      'a transaction by hand',
      (on) => sql`begin`.execute(on).then(() => add(on, 'debit')),
      (on) => add(on, 'credit'),
    ],
    ['a setting', (on) => sql`set app.tenant = 'seven'`.execute(on), (on) => add(on, 'of nobody')],
    [
      'a setting that is read',
      (on) => sql`set app.tenant = 'seven'`.execute(on),
      (on) => sql`select current_setting('app.tenant', true)`.execute(on),
    ],
    [
      'a setting that a transaction goes by',
      (on) => sql`set app.tenant = 'seven'`.execute(on),
      (on) => on.transaction().execute((trx) => add(trx, 'of nobody')),
    ],
  ]

  test.each(uses)(
    'fails, and does not go on elsewhere without what it had: %s',
    async (_what, before, after) => {
      const { db, changed } = await open({ failover: true, probeIntervalMs: 50 }).then((watched) => ({
        db: watched.db,
        changed: (nowMs: number) => watched.changed('replica-1', 'primary', nowMs),
      }))
      const using = db.connection().execute(async (on) => {
        await before(on)
        const nowMs = performance.now()
        await cluster.replicas[0]?.promote()
        await changed(nowMs)
        await after(on)
      })
      await expect(using).rejects.toThrow(/terminated|not queryable/)
      const [row] = (await cluster.replicas[0]?.query<{ count: string }>('select count(*) from item')) ?? []
      expect(row?.count).toBe('0')
      // Whoever comes next finds the new primary.
      await add(db, 'next')
    },
  )
})

describe('a connection that has read on a replica which is then promoted', () => {
  const add = (on: Kysely<Database>) => on.insertInto('item').values({ name: 'new' }).execute()
  const count = async (on: Kysely<Database>) => (await on.selectFrom('item').selectAll().execute()).length

  /** Calls `fn` with such a connection. */
  async function afterPromotion(fn: (on: Kysely<Database>, promote: () => Promise<void>) => Promise<void>) {
    const watched = await open({ failover: true, probeIntervalMs: 50 })
    await inRequest(() =>
      watched.db.connection().execute((on) =>
        fn(on, async () => {
          const nowMs = performance.now()
          await cluster.replicas[0]?.promote()
          await watched.changed('replica-1', 'primary', nowMs)
        }),
      ),
    )
  }

  test('writes, locks, sets and begins transactions there', () =>
    afterPromotion(async (on, promote) => {
      expect(await count(on)).toBe(0)
      await promote()
      expect(await count(on)).toBe(0)
      await add(on)
      await on.selectFrom('item').selectAll().forUpdate().execute()
      await sql`set app.tenant = 'seven'`.execute(on)
      await on.transaction().execute((trx) => add(trx))
      expect((await sql`select current_setting('app.tenant', true) as tenant`.execute(on)).rows).toEqual([
        { tenant: 'seven' },
      ])
      expect(await count(on)).toBe(2)
    }))

  test('stays in its read-only transaction until that is over', () =>
    afterPromotion(async (on, promote) => {
      await on
        .transaction()
        .setAccessMode('read only')
        .execute(async (trx) => {
          expect(await count(trx)).toBe(0)
          await promote()
          expect(await count(trx)).toBe(0)
        })
      await add(on)
      expect(await count(on)).toBe(1)
    }))
})

test('a statement that fails after its connection was released leaves the session to whoever has it by then', async () => {
  const [replica] = cluster.replicas
  if (replica === undefined) throw new Error('there is no replica')
  const watched = await open({ replicas: [namedPool(replica, 'released', { max: 1 })] })
  const { db } = watched
  const failing = withResolvers<unknown>()
  await inRequest(() =>
    db.connection().execute(async (on) => {
      // Nobody awaits it here, and the connection is released while it runs.
      sql`select 1 / (length(pg_sleep(0.3)::text))`.execute(on).catch(failing.resolve)
      await vi.waitFor(async () => {
        const clients = await clientsOf(replica, 'released')
        expect(clients.some(({ state, query }) => state === 'active' && query.includes('pg_sleep'))).toBe(
          true,
        )
      })
    }),
  )
  await useReplica(() =>
    db
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        expect(await failing.promise).toMatchObject({ code: '22012' })
        expect((await sql`select 1 as one`.execute(trx)).rows).toEqual([{ one: 1 }])
      }),
  )
  expect(watched.dialect.status().nodes.map(({ busy }) => busy)).toEqual([0, 0])
})
