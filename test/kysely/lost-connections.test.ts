import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase } from '../support/cluster.ts'
import { inUse, namedPool, terminateClients } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

// An `error` event that nobody listens to would end the process; vitest fails a file that has one.
const { cluster } = useShop({
  sql: "insert into item (name) select 'item ' || n from generate_series(1, 1000) n",
})
let pools: pg.Pool[]
let db: Kysely<Database>

beforeEach(() => {
  pools = cluster.nodes.map((node) => namedPool(node, 'lost', { max: 1 }))
  const [primary, ...replicas] = pools as [pg.Pool, ...pg.Pool[]]
  db = openDatabase(cluster, { primary, replicas })
})

afterEach(() => db.destroy())

const pidOf = async (on: Kysely<Database>) =>
  (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(on)).rows[0]?.pid

const nodes = [
  { role: 'primary', scope: usePrimary, at: () => 0 },
  { role: 'replica', scope: useReplica, at: () => 1 },
]

for (const { role, scope, at } of nodes) {
  describe(`a backend of the ${role} that is terminated`, () => {
    const isPrimary = role === 'primary'
    const pool = () => pools[at()] as pg.Pool
    const terminate = async () => {
      expect(await terminateClients(cluster.nodes[at()] as PostgresNode)).toBe(1)
    }
    /** The pool's one connection can be had again, and is another one. */
    const expectNewConnection = async (before: number | undefined) => {
      const after = await scope(() => pidOf(db))
      expect(after).toBeDefined()
      expect(after).not.toBe(before)
      expect(inUse(pool())).toBe(0)
    }

    test('while it is idle is replaced', async () => {
      const pid = await scope(() => pidOf(db))
      await terminate()
      await vi.waitFor(() => expect(pool().totalCount).toBe(0))
      await expectNewConnection(pid)
    })

    test(`while it is checked out ${isPrimary ? 'fails its statements' : 'leaves its reads to another node'}`, async () => {
      let pid: number | undefined
      const using = scope(() =>
        db.connection().execute(async (one) => {
          pid = await pidOf(one)
          await terminate()
          await pidOf(one)
        }),
      )
      if (isPrimary) await expect(using).rejects.toThrow()
      else await using
      await expectNewConnection(pid)
    })

    test('while it is checked out and nothing more is asked of it is replaced', async () => {
      const pid = await scope(() =>
        db.connection().execute(async (one) => {
          const its = await pidOf(one)
          await terminate()
          return its
        }),
      )
      await vi.waitFor(() => expect(pool().totalCount).toBe(0))
      await expectNewConnection(pid)
    })

    test(`while its ${isPrimary ? 'write runs fails it' : 'read runs leaves it to another node'}`, async () => {
      const pid = await scope(() => pidOf(db))
      const writing = sql`update item set name = pg_sleep(30)::text where id = 1`
      // Only a hot standby sleeps: on the primary it is over at once.
      const reading = sql`select pg_sleep(case when pg_is_in_recovery() then 30 else 0 end)`
      const sleeping = scope(() => (isPrimary ? writing : reading).execute(db))
      const outcome = isPrimary ? expect(sleeping).rejects.toThrow(/terminat/) : sleeping
      await vi.waitFor(async () =>
        expect(await terminateClients(cluster.nodes[at()] as PostgresNode)).toBe(1),
      )
      await outcome
      await expectNewConnection(pid)
    })

    test('in a transaction, whose rollback then fails, is not given to the next one', async () => {
      let pid: number | undefined
      const transaction = scope(() => {
        const builder = role === 'replica' ? db.transaction().setAccessMode('read only') : db.transaction()
        return builder.execute(async (trx) => {
          pid = await pidOf(trx)
          await terminate()
          await pidOf(trx)
        })
      })
      await expect(transaction).rejects.toThrow()
      await expectNewConnection(pid)
    })

    test('in a controlled transaction is not given to the next one', async () => {
      const pid = await scope(async () => {
        const builder = db.startTransaction()
        const trx = await (role === 'replica' ? builder.setAccessMode('read only') : builder).execute()
        const its = await pidOf(trx)
        await terminate()
        await expect(pidOf(trx)).rejects.toThrow()
        await expect(trx.rollback().execute()).rejects.toThrow()
        return its
      })
      await expectNewConnection(pid)
    })

    test('in a stream fails the stream, and is replaced', async () => {
      const pid = await scope(() => pidOf(db))
      const reading = scope(async () => {
        for await (const _ of db.selectFrom('item').selectAll().stream(1)) {
          if (inUse(pool()) === 1) await terminateClients(cluster.nodes[at()] as PostgresNode)
        }
      })
      await expect(reading).rejects.toThrow()
      await expectNewConnection(pid)
    })

    test('in a stream that its reader leaves then is nothing to the reader, and is replaced', async () => {
      const pid = await scope(() => pidOf(db))
      const pool = pools[at()] as pg.Pool
      const gone = new Promise((resolve) =>
        pool.on('acquire', (client) => client.once('end', () => resolve(0))),
      )
      await scope(async () => {
        for await (const _ of db.selectFrom('item').selectAll().stream(1)) {
          await terminateClients(cluster.nodes[at()] as PostgresNode)
          await gone
          break
        }
      })
      await expectNewConnection(pid)
    })
  })
}
