import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { type Load, readsOf, startLoad } from '../support/load.ts'
import { more, servedAgain } from '../support/load-waits.ts'
import { terminateClients } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// A replica dies, in each of the ways that happen, while 200 reads per second go on. Nobody notices.
const { cluster, watch } = useShop({ replicas: 2 })
let replica: PostgresNode
let watched: Watched
let load: Load<string>

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
})

beforeEach(async () => {
  watched = await watch()
  load = startLoad(readsOf(cluster, watched.db))
  await more(load)
})

/** How long it took from `sinceMs` until the replica was ejected, in ms. */
const ejectedAfterMs = async (sinceMs: number) =>
  (await watched.changed('replica-1', 'down', sinceMs)) - sinceMs

describe('a replica', () => {
  for (const [how, end] of [
    ['is killed', () => replica.kill()],
    ['is stopped', () => replica.stop('fast')],
    ['is stopped at once', () => replica.stop('immediate')],
  ] as const) {
    test(`that ${how} is ejected within 1 s, no read fails, and it serves within 2 s of answering again`, async () => {
      const sinceMs = performance.now()
      const [ejectedMs] = await Promise.all([ejectedAfterMs(sinceMs), end()])
      const goneMs = load.nowMs()
      await more(load)
      const startedMs = load.nowMs()
      await replica.start()
      const backMs = await servedAgain(load, 'replica-1')
      await more(load)
      const report = await load.stop()
      expect(report.failures()).toEqual([])
      expect(ejectedMs).toBeLessThan(1_000)
      expect(backMs).toBeLessThan(2_000)
      expect(report.slowestMs).toBeLessThan(1_000)
      expect(report.servedBy(goneMs, startedMs)).toEqual({ 'replica-2': expect.any(Number) })
      expect(watched.changesOf('replica-2')).not.toContain('down')
    })
  }

  test('that is restarted fails no read, and serves within 2 s of answering again', async () => {
    await replica.restart()
    const backMs = await servedAgain(load, 'replica-1')
    await more(load)
    const report = await load.stop()
    expect(report.failures()).toEqual([])
    expect(backMs).toBeLessThan(2_000)
    expect(report.slowestMs).toBeLessThan(1_000)
  })

  test('one of whose processes is killed, which has the server end all the others and recover, fails no read', async () => {
    const [backend] = await replica.query<{ pid: number }>(
      "select pid from pg_stat_activity where backend_type = 'client backend' and query like '%inet_server_port%' and pid <> pg_backend_pid()",
    )
    const [before] = await replica.query<{ pid: number }>('select pg_backend_pid() as pid')
    process.kill(backend?.pid as number, 'SIGKILL')
    // The replica may recover before anybody has looked. So this waits for a new backend.
    await vi.waitFor(
      async () => {
        const [now] = await replica.query<{ pid: number }>('select pg_backend_pid() as pid')
        expect(now?.pid).not.toBe(before?.pid)
      },
      { timeout: 20_000, interval: 10 },
    )
    await watched.untilEligible('replica-1')
    await servedAgain(load, 'replica-1')
    const report = await load.stop()
    expect(report.failures()).toEqual([])
    expect(report.slowestMs).toBeLessThan(1_000)
  })

  test('all of whose connections are terminated, again and again, fails no read and is not ejected', async () => {
    for (let round = 0; round < 10; round++) {
      expect(await terminateClients(replica)).toBeGreaterThan(0)
      await more(load, 20)
    }
    const report = await load.stop()
    expect(report.failures()).toEqual([])
    expect(watched.events.map(({ change }) => change)).not.toContain('down')
    expect(report.servedBy()['replica-1']).toBeGreaterThan(50)
  })

  test("one of whose connections is terminated, a reader's or the watcher's own, is not ejected", async () => {
    for (const application of ['watched', 'write-pinning']) {
      const ended = await replica.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'
         and application_name = $1 and pid <> pg_backend_pid() limit 1`,
        [application],
      )
      expect(ended).toHaveLength(1)
      const before = watched.dialect.status().nodes[1]?.position
      // Once the position has changed, the watcher has looked again.
      await cluster.primary.query("insert into item (name) values ('seen')")
      await expect
        .poll(() => watched.dialect.status().nodes[1]?.position, { timeout: 5_000 })
        .not.toBe(before)
    }
    const report = await load.stop()
    expect(report.failures()).toEqual([])
    expect(watched.events.map(({ change }) => change)).not.toContain('down')
  })

  test('that is killed while nobody reads is ejected at once all the same', async () => {
    expect((await load.stop()).failures()).toEqual([])
    const sinceMs = performance.now()
    const [ejectedMs] = await Promise.all([ejectedAfterMs(sinceMs), replica.kill()])
    await replica.start()
    expect(ejectedMs).toBeLessThan(500)
    await watched.changed('replica-1', 'fit', sinceMs)
  })
})
