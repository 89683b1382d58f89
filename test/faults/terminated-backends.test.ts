import { sql } from 'kysely'
import { beforeAll, expect, test } from 'vitest'
import { type Load, readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { inRequest } from '../support/request.ts'
import { terminateClients } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// Backends are terminated on every node, whatever their clients are doing. An `error` event without a listener would
// end the process; vitest fails a file that has one.
const { cluster, watch } = useShop({ replicas: 2 })
let watched: Watched

beforeAll(async () => {
  watched = await watch()
})

test('backends that are terminated on every node, in statements, transactions and streams, or idle, cost what was under way and nothing more', async () => {
  const { db } = watched
  const slow = sql`select from pg_sleep(0.02)`
  const readOnly = () => db.transaction().setAccessMode('read only')
  const numbers = sql<{ n: number }>`generate_series(1, 200)`.as<'numbers'>(sql`numbers(n)`)
  const stream = async () => {
    for await (const _ of db.selectFrom(numbers).selectAll().stream(20));
  }
  const writeSlowly = () =>
    db.transaction().execute(async (trx) => {
      await trx.insertInto('item').values({ name: 'slow' }).execute()
      await slow.execute(trx)
    })
  const loads: Record<string, Load<unknown>> = {
    reads: startLoad(readsOf(cluster, db)),
    writes: startLoad(writesOf(db), { perSecond: 50 }),
    transactions: startLoad(() => inRequest(writeSlowly), { perSecond: 50 }),
    readOnly: startLoad(() => inRequest(() => readOnly().execute((trx) => slow.execute(trx))), {
      perSecond: 50,
    }),
    connections: startLoad(() => inRequest(() => db.connection().execute((one) => slow.execute(one))), {
      perSecond: 50,
    }),
    streams: startLoad(() => inRequest(stream), { perSecond: 50 }),
  }
  const all = Object.entries(loads)
  for (let round = 0; round < 6; round++) {
    await Promise.all(all.map(([, load]) => more(load, 10)))
    for (const node of cluster.nodes) expect(await terminateClients(node)).toBeGreaterThan(0)
  }
  const endedMs = Object.fromEntries(all.map(([name, load]) => [name, load.nowMs()]))
  await Promise.all(all.map(([, load]) => more(load, 20)))
  const reports = Object.fromEntries(
    await Promise.all(all.map(async ([name, load]) => [name, await load.stop()] as const)),
  )

  const failures = (name: string) => reports[name]?.failures().map(String) ?? []
  // Work that has delivered nothing yet moves on.
  expect([...failures('reads'), ...failures('connections')]).toEqual([])
  for (const name of ['writes', 'transactions', 'readOnly', 'streams']) {
    for (const failure of failures(name))
      expect(failure).toMatch(/terminat|not queryable|ECONNRESET|EPIPE|unknown|lost/)
  }
  for (const [name, report] of Object.entries(reports)) {
    expect(report.between(endedMs[name] ?? 0).failures()).toEqual([])
    expect(report.slowestMs).toBeLessThan(2_000)
  }
  expect(watched.events.map(({ change }) => change)).not.toContain('down')
  expect(watched.dialect.status().nodes.map(({ busy }) => busy)).toEqual([0, 0, 0])
})
