import { expect, test } from 'vitest'
import { usePrimary } from 'write-pinning'
import { openRequestContext, runInContext } from '../../src/freshness/context.ts'
import { createMemory, PLAIN } from '../../src/freshness/memory.ts'
import { openingPools } from '../support/pools.ts'
import { positionOf } from '../support/positions.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Around some statements the package asks the server something of its own, over the same connection.
const { cluster, atEnd } = useShop()
const openPool = openingPools({ cluster, atEnd })

/** Runs `fn` in a request that wants to know what its reads have seen. */
function seeing<T>(fn: () => T): T {
  const memory = createMemory(15_000, undefined, false, { ...PLAIN, wantsSeen: true })
  return runInContext(openRequestContext(memory), fn)
}

test('a query with `rows` leaves no part of its answer to whoever comes next', async () => {
  const pool = await openPool({ max: 1 })
  // `pg` knows it, although its types do not.
  const asked = { text: 'select n from generate_series(1, 5) as n', rows: 2 }
  expect((await seeing(() => usePrimary(() => pool.query(asked)))).rows).toHaveLength(5)
  const { rows } = await inRequest(() => usePrimary(() => pool.query('select 42 as answer')))
  expect(rows).toEqual([{ answer: 42 }])
})

test('a query with `query_timeout` is not waited for any longer', async () => {
  const pool = await openPool()
  const slow = { text: 'select pg_sleep(20)', query_timeout: 200 }
  await expect(seeing(() => pool.query(slow))).rejects.toThrow('Query read timeout')
})

test('a statement with a name that has failed to parse on a replica works once its table is there', async () => {
  const pool = await openPool({ max: 1 })
  const position = await positionOf(cluster.primary)
  await cluster.waitForCatchup()
  const read = () => {
    const untilMs = Date.now() + 60_000
    const clusters = new Map([['default', { exact: { position, untilMs }, primaryUntilMs: 0 }]])
    const pin = { kind: 'exact', untilMs, clusters, primaryUntilMs: 0 } as const
    const memory = createMemory(15_000, pin, false, { ...PLAIN, wantsPositions: true })
    return runInContext(openRequestContext(memory), () =>
      pool.query({ name: 'late', text: 'select * from late_table' }),
    )
  }
  await expect(read()).rejects.toThrow('relation "late_table" does not exist')
  await cluster.primary.query('create table late_table as select 1 as one')
  await cluster.waitForCatchup()
  for (let times = 0; times < 3; times++) expect((await read()).rows).toEqual([{ one: 1 }])
})
