import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { more, servedAgain } from '../support/load-waits.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// All replicas are dead. The primary serves their reads as far as it can without harm to its writes.
const { cluster, watch } = useShop({ replicas: 2 })
let watched: Watched

beforeEach(async () => {
  watched = await watch()
})

const killReplicas = async () => {
  const sinceMs = performance.now()
  await Promise.all(cluster.replicas.map((replica) => replica.kill()))
  await Promise.all(cluster.replicas.map(({ name }) => watched.changed(name, 'down', sinceMs)))
}
const startReplicas = () => Promise.all(cluster.replicas.map((replica) => replica.start()))

test('200 reads per second move to the primary and back, and none fails', async () => {
  const load = startLoad(readsOf(cluster, watched.db))
  await more(load)
  await killReplicas()
  const goneMs = load.nowMs()
  await more(load, 200)
  const startedMs = load.nowMs()
  await startReplicas()
  const backMs = await servedAgain(load, 'replica-1')
  const report = await load.stop()
  expect(report.failures()).toEqual([])
  expect(report.slowestMs).toBeLessThan(1_000)
  expect(report.servedBy(goneMs, startedMs)).toEqual({ primary: expect.any(Number) })
  expect(backMs).toBeLessThan(2_000)
})

test('more reads than the primary may serve wait for at most 1 s, fail with 503, and starve no write', async () => {
  // Each read holds its connection for 200 ms. So 200 reads per second need 40 connections, and half of the primary's
  // pool is 5.
  const slowRead = sql`select from pg_sleep(0.2)`
  const writes = startLoad(writesOf(watched.db), { perSecond: 50 })
  const reads = startLoad(() => inRequest(() => slowRead.execute(watched.db)))
  await more(writes, 150)
  const beforeMs = writes.nowMs()
  await killReplicas()
  const goneMs = writes.nowMs()
  const readsGoneMs = reads.nowMs()
  await more(writes, 200)
  const { spilled } = watched.dialect.status()
  const [wrote, read] = [await writes.stop(), await reads.stop()]
  await startReplicas()

  expect(wrote.failures()).toEqual([])
  const p95 = [wrote.between(0, beforeMs), wrote.between(goneMs)].map((each) => each.percentileMs(95))
  const [before = 0, gone = 0] = p95
  // Twice a millisecond or two is within the noise of a busy machine. A wait for a read's connection takes up to 200
  // ms.
  expect(gone).toBeLessThan(Math.max(2 * before, 20))

  expect(spilled.running).toBe(5)
  const readGone = read.between(readsGoneMs)
  const failures = readGone.failures()
  const no503 = failures.filter((error) => !isNoReplica(error))
  expect(no503).toEqual([])
  expect(failures.length).toBeGreaterThan(0)
  // The reads that had their turn: 5 at a time, each for 200 ms.
  expect(readGone.operations.length - failures.length).toBeGreaterThan(50)
  // A wait of 1 s at most, and 200 ms for the read.
  expect(readGone.slowestMs).toBeLessThan(2_000)
})

function isNoReplica(error: unknown): boolean {
  const { code, statusCode } = error as { code?: string; statusCode?: number }
  return code === 'ERR_WRITE_PINNING_NO_REPLICA' && statusCode === 503
}
