import { setTimeout as wait } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { PostgresCluster } from 'write-pinning/testing'
import type { Database } from './cluster.ts'
import { LoadReport, type Operation } from './load-report.ts'
import { inRequest } from './request.ts'

/** A running load. */
export interface Load<T> {
  /** The time since the load began, in ms. The report has the same clock, so a test can note when it made a fault. */
  nowMs(): number
  /** The operations that have ended so far. */
  soFar(): LoadReport<T>
  /**
   * Begins no more operations, waits for the open ones, and gives all of them. One that has not ended in `withinMs`
   * (30 s) counts as failed.
   */
  stop(options?: { withinMs?: number }): Promise<LoadReport<T>>
}

/**
 * Begins `operation` this many times per second (default 200), whether or not earlier ones have ended. If this
 * process was blocked, it makes up for a tenth of a second at most.
 * @example
 * const load = startLoad(readsOf(cluster, db))
 * await replica.kill()
 * const report = await load.stop()
 * expect(report.failures()).toEqual([])
 */
export function startLoad<T>(operation: () => Promise<T>, { perSecond = 200 } = {}): Load<T> {
  const startedMs = performance.now()
  const nowMs = () => performance.now() - startedMs
  const ended: Operation<T>[] = []
  const open = new Set<{ readonly startMs: number; readonly done: Promise<void> }>()
  let due = 0
  let lastMs = 0

  const begin = () => {
    const startMs = nowMs()
    const end = (outcome: { value: T } | { error: unknown }) => {
      open.delete(entry)
      ended.push({ startMs, endMs: nowMs(), ...outcome })
    }
    const run = async () => operation()
    const entry = {
      startMs,
      done: run().then(
        (value) => end({ value }),
        (error: unknown) => end({ error }),
      ),
    }
    open.add(entry)
  }
  const timer = setInterval(() => {
    const sinceMs = Math.min(nowMs() - lastMs, BURST_MS)
    lastMs = nowMs()
    due += (sinceMs * perSecond) / 1000
    for (; due >= 1; due--) begin()
  }, TICK_MS)

  return {
    nowMs,
    soFar: () => new LoadReport([...ended]),
    async stop({ withinMs = 30_000 } = {}) {
      clearInterval(timer)
      const giveUp = new AbortController()
      const tooLate = wait(withinMs, undefined, { signal: giveUp.signal }).catch(() => {})
      await Promise.race([Promise.all([...open].map(({ done }) => done)), tooLate])
      giveUp.abort()
      const error = new Error(`It had not ended ${withinMs} ms after the load was stopped`)
      const hanging = [...open].map(({ startMs }) => ({ startMs, endMs: nowMs(), error }))
      return new LoadReport([...ended, ...hanging])
    },
  }
}

const TICK_MS = 5
const BURST_MS = 100

/** A read through the dialect, in a request of its own. It gives the name of the node that served it. */
export function readsOf(cluster: PostgresCluster, db: Kysely<Database>): () => Promise<string> {
  const port = sql<{ port: number }>`select inet_server_port() as port`
  return async () => {
    const { rows } = await inRequest(() => port.execute(db))
    return cluster.nodes.find((node) => node.port === rows[0]?.port)?.name ?? `port ${rows[0]?.port}`
  }
}

/** A write through the dialect, in a request of its own. It gives the name of its row, which is unique. */
export function writesOf(db: Kysely<Database>): () => Promise<string> {
  let count = 0
  return async () => {
    const name = `write ${++count}`
    await inRequest(() => db.insertInto('item').values({ name }).execute())
    return name
  }
}
