import type { Kysely } from 'kysely'
import type { WritePinningOptions } from 'write-pinning/fastify'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { parseLsn } from '../../src/lsn.ts'
import { LazyConnection } from '../../src/testing/lazy-connection.ts'
import type { Database } from './cluster.ts'
import { heldBy, pinOfAgent, seesOn, serveShop } from './exact.ts'

/** The results of many rounds. In each, a user agent writes and then reads. */
export interface RoundsReport {
  readonly rounds: number
  /** Reads right after the write that did not see it. */
  stale: number
  /** How many of those reads replicas served. */
  onReplicas: number
  /** Reads after every replica had caught up. */
  afterCatchup: number
  /**
   * Of those, the reads under a pin without a position: the primary did not give one within the time that a response
   * waits.
   */
  withoutPosition: number
  /** Of those, the reads that the primary still served while nobody else wrote: no replica can reach that position. */
  waitedForNothing: number
}

/** How long a replica that has caught up is asked before its position counts as unreachable, in ms. */
const UNREACHABLE_MS = 2_000

/**
 * Lets user agents write and read, one after the other, through Fastify and the dialect.
 * @example
 * const report = await runRounds({ cluster, db, rounds: 3_000, write: (name) => insert(db, name) })
 */
export async function runRounds(parts: {
  readonly cluster: PostgresCluster
  readonly db: Kysely<Database>
  readonly rounds: number
  /** The handler of the write request. */
  readonly write: (name: string) => Promise<unknown>
  /** Every so many rounds, this checks whether replicas that have caught up serve. */
  readonly catchUpEvery?: number
  /** Whether a commit flushes its writes. Then replicas that have replayed everything flushed have caught up. */
  readonly flushes?: boolean
  readonly options?: WritePinningOptions
}): Promise<RoundsReport> {
  const { cluster, db, rounds, write, catchUpEvery = 25, flushes = true, options } = parts
  const report = { rounds, stale: 0, onReplicas: 0, afterCatchup: 0, withoutPosition: 0, waitedForNothing: 0 }
  const { app, openAgent } = await serveShop(db, options, async (shop) => {
    shop.post<{ Params: { name: string } }>('/write/:name', async ({ params }) => {
      await write(params.name)
      return params.name
    })
  })
  try {
    for (let round = 1; round <= rounds; round++) {
      const agent = openAgent()
      const name = `round-${Math.random().toString(36).slice(2)}`
      const { status, body } = await agent.post(`/write/${name}`)
      if (status !== 200) throw new Error(`The write failed: ${body}`)
      const [isThere, node] = await seesOn(agent, name)
      if (!isThere) report.stale++
      if (node !== 'primary') report.onReplicas++
      if (round % catchUpEvery !== 0) continue
      if (flushes) await replayedWhatIsFlushed(cluster)
      else await cluster.waitForCatchup()
      report.afterCatchup++
      if (heldBy(await pinOfAgent(agent)) === 'primary') {
        report.withoutPosition++
        continue
      }
      // On a busy machine, a look at the replicas may come too late. A position that they cannot reach stays out of
      // reach.
      const untilMs = performance.now() + UNREACHABLE_MS
      for (let servedBy = 'primary'; servedBy === 'primary'; ) {
        const [isThereNow, node] = await seesOn(agent, name)
        if (!isThereNow) report.stale++
        servedBy = node
        if (servedBy !== 'primary' || performance.now() < untilMs) continue
        report.waitedForNothing++
        break
      }
    }
  } finally {
    await app.close()
  }
  return report
}

/** Waits for what is flushed, because `waitForCatchup()` would also flush what others have not committed. */
async function replayedWhatIsFlushed({ primary, replicas }: PostgresCluster): Promise<void> {
  const flushed = parseLsn(await primary.lsn()) ?? 0n
  for (const replica of replicas) {
    while ((parseLsn(await replica.lsn()) ?? 0n) < flushed);
  }
}

/**
 * Starts sessions that write and roll back, until the function that this resolves with has run. So they make WAL that
 * nobody commits.
 */
export async function makeNoise(primary: PostgresNode, sessions = 2): Promise<() => Promise<void>> {
  await primary.query('create table if not exists noise (text text)')
  let isOver = false
  const noisy = async () => {
    const session = new LazyConnection({ host: primary.host, port: primary.port, database: 'test' })
    while (!isOver) {
      await session.query('begin')
      await session.query("insert into noise select repeat('x', 100) from generate_series(1, 50)")
      await session.query('rollback')
    }
    await session.close()
  }
  const running = Promise.all(Array.from({ length: sessions }, noisy))
  return async () => {
    isOver = true
    await running
  }
}
