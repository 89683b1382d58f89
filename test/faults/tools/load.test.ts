import type { Kysely } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { type Database, openDatabase, startShop } from '../../support/cluster.ts'
import { readsOf, startLoad, writesOf } from '../../support/load.ts'
import { LoadReport } from '../../support/load-report.ts'
import { withResolvers } from '../../support/with-resolvers.ts'

let cluster: PostgresCluster
let db: Kysely<Database>

beforeAll(async () => {
  cluster = await startShop(2)
  db = openDatabase(cluster)
})

afterAll(async () => {
  await db.destroy()
  await cluster.stop()
})

test('reads and writes run beside each other, at their pace, and tell which node served them', async () => {
  const reads = startLoad(readsOf(cluster, db))
  const writes = startLoad(writesOf(db), { perSecond: 20 })
  await vi.waitFor(() => expect(reads.soFar().operations.length).toBeGreaterThan(300), 10_000)
  const [read, written] = await Promise.all([reads.stop(), writes.stop()])
  const seconds = reads.nowMs() / 1000
  expect(read.failures()).toEqual([])
  expect(read.operations.length / seconds).toBeGreaterThan(150)
  expect(read.operations.length / seconds).toBeLessThan(205)
  expect(Object.keys(read.servedBy()).sort()).toEqual(['replica-1', 'replica-2'])
  expect(written.failures()).toEqual([])
  expect(written.operations.length / seconds).toBeLessThan(21)
  const names = await cluster.primary.query<{ name: string }>('select name from item order by id')
  // Two writes may have reached the server in another order.
  expect(names.map(({ name }) => name).sort()).toEqual(written.operations.map(({ value }) => value).sort())
})

test('what fails is kept with its error, and the load goes on', async () => {
  let count = 0
  const load = startLoad(async () => {
    count++
    if (count % 2 === 0) throw new Error(`number ${count}`)
    return count
  })
  await vi.waitFor(() => expect(load.soFar().operations.length).toBeGreaterThan(10))
  const report = await load.stop()
  expect(report.failures()[0]).toEqual(new Error('number 2'))
  expect(Object.keys(report.servedBy())[0]).toBe('1')
})

test('what never ends is a failure, and does not hold up the stop', async () => {
  const operation = vi.fn(() => new Promise(() => {}))
  const load = startLoad(operation)
  await vi.waitFor(() => expect(operation.mock.calls.length).toBeGreaterThan(5))
  const report = await load.stop({ withinMs: 50 })
  expect(report.failures().length).toBeGreaterThan(5)
  expect(report.failures()[0]).toEqual(new Error('It had not ended 50 ms after the load was stopped'))
})

test('what could not begin because the process was blocked is not made up for', async () => {
  const load = startLoad(async () => 'done')
  await vi.waitFor(() => expect(load.soFar().operations.length).toBeGreaterThan(5))
  const { length } = load.soFar().operations
  const until = performance.now() + 1_000
  while (performance.now() < until);
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect(load.soFar().operations.length - length).toBeLessThan(50)
  await load.stop()
})

test('what is still going on when the load is stopped is waited for', async () => {
  const gate = withResolvers<string>()
  const operation = vi.fn(() => gate.promise)
  const load = startLoad(operation)
  await vi.waitFor(() => expect(operation).toHaveBeenCalled())
  const stopped = load.stop()
  gate.resolve('late')
  const report = await stopped
  expect(report.failures()).toEqual([])
  expect(Object.keys(report.servedBy())).toEqual(['late'])
})

describe('a report', () => {
  const report = new LoadReport([
    { startMs: 20, endMs: 21, error: new Error('refused') },
    { startMs: 0, endMs: 10, value: 'replica-1' },
    { startMs: 10, endMs: 40, value: 'replica-2' },
    { startMs: 30, endMs: 32, value: 'replica-2' },
  ])

  test('counts who served what, at all or in a time', () => {
    expect(report.servedBy()).toEqual({ 'replica-1': 1, 'replica-2': 2 })
    expect(report.servedBy(5, 25)).toEqual({ 'replica-2': 1 })
    expect(report.between(15).failures()).toEqual([new Error('refused')])
  })

  test('knows how long they took', () => {
    expect(report.slowest()).toEqual([{ startMs: 10, endMs: 40, value: 'replica-2' }])
    expect([report.percentileMs(50), report.percentileMs(75), report.slowestMs]).toEqual([2, 10, 30])
    expect(new LoadReport([]).percentileMs(95)).toBe(0)
  })
})
