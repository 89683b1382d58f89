import { sql } from 'kysely'
import { beforeAll, expect, test, vi } from 'vitest'
import { readsOf, startLoad } from '../support/load.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'
import type { Watched } from '../support/watched.ts'

// The primary vacuums rows that a read on a replica may still need. After a while the replica cancels the read, so
// that replay can go on.
const { cluster, watch } = useShop({
  replicas: 2,
  settings: { max_standby_streaming_delay: '200ms', autovacuum: false },
  sql: [
    "insert into item (name) select 'x' from generate_series(1, 2000)",
    // Makes reads that take about a second, and that read rows of the table all the time.
    `create function slowly(item) returns int stable language plpgsql as
     'begin perform pg_sleep(0.0005); return $1.id; end'`,
  ],
})
let watched: Watched

beforeAll(async () => {
  watched = await watch()
  await watched.untilEligible('replica-1', 'replica-2')
})

const WAIT = { timeout: 30_000, interval: 10 }

const slowRead = sql<{ count: string }>`select count(slowly(item)) as count from item`

async function vacuum(): Promise<void> {
  await cluster.primary.query("update item set name = 'y' where id % 2 = 0")
  await cluster.primary.query('vacuum item')
}

const conflicts = async () => {
  const counts = await Promise.all(
    cluster.replicas.map((node) =>
      node.query<{ count: string }>('select sum(confl_snapshot) as count from pg_stat_database_conflicts'),
    ),
  )
  return counts.reduce((sum, [row]) => sum + Number(row?.count), 0)
}

test('outside transactions no read fails, however often the replicas cancel them', async () => {
  const fast = startLoad(readsOf(cluster, watched.db))
  const slow = startLoad(() => inRequest(() => slowRead.execute(watched.db)), { perSecond: 2 })
  await vi.waitFor(async () => {
    await vacuum()
    expect(await conflicts()).toBeGreaterThan(12)
  }, WAIT)
  const [fastReads, slowReads] = [await fast.stop(), await slow.stop()]
  expect([...fastReads.failures(), ...slowReads.failures()].map(String)).toEqual([])
  expect(fastReads.operations.length).toBeGreaterThan(200)
  for (const { value } of slowReads.operations) expect(value?.rows).toEqual([{ count: '2000' }])
  expect(watched.changes.filter((change) => change.endsWith('down'))).toEqual([])
})

test('a stream that has delivered nothing runs anew', async () => {
  const before = await conflicts()
  const streaming = inRequest(async () => {
    const rows: unknown[] = []
    const query = watched.db.selectFrom('item').select(sql<number>`max(slowly(item))`.as('max'))
    for await (const row of query.stream()) rows.push(row)
    return rows
  })
  await vi.waitFor(async () => {
    await vacuum()
    expect(await conflicts()).toBeGreaterThan(before)
  }, WAIT)
  expect(await streaming).toEqual([{ max: 2000 }])
})

test('inside a transaction that has read it surfaces', async () => {
  let code: unknown
  const transaction = inRequest(() =>
    watched.db
      .transaction()
      .setAccessMode('read only')
      .setIsolationLevel('repeatable read')
      .execute(async (trx) => {
        // A transaction that has read nothing yet would run again elsewhere. So this one reads first.
        await sql`select 1 from item limit 1`.execute(trx)
        for (;;) await slowRead.execute(trx)
      }),
  )
  const failed = codeOf(() => transaction).then((given) => {
    code = given
  })
  await vi.waitFor(async () => {
    await vacuum()
    expect(code).toBeDefined()
  }, WAIT)
  await failed
  expect(code).toBe('40001')
})
