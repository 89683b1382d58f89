import { type OptionReader, wrongOption } from '../options.ts'
import type { Choose } from './choice.ts'
import type { Lookup } from './host.ts'
import type { LagSource } from './probe.ts'

/** The options of the dialect and of the pool that are about nodes. */
export interface ReplicaSetOptions {
  /**
   * How a replica is chosen for a read. Default: `'least-busy'`.
   *
   * - `'least-busy'`: the less busy of two that are drawn at random
   * - `'round-robin'`: each in turn
   * - `'random'`: any one
   * - a function: it gets the replicas that are fit, and gives one of them or its name
   *
   * The first three go by the weights of the replicas.
   */
  choose?: Choose
  /** How much a replica may lag and still serve reads, in ms. Default: 10,000. */
  maxLagMs?: number
  /**
   * How much a replica may lag and still serve reads, in bytes of WAL; only with `lagSource: 'wal'`. Default: no
   * limit.
   */
  maxLagBytes?: number
  /** Where the lag is read: `'wal'`, `'aurora'`, or a function that gives it in ms. Default: `'wal'`. */
  lagSource?: LagSource
  /**
   * What serves when no replica is fit. Default: `'primary'`.
   *
   * - `'primary'`: the primary, with at most half of its pool
   * - `'error'`: nothing. Reads fail with `statusCode` 503; a request that has written still reads from the primary
   */
  whenNoReplica?: 'primary' | 'error'
  /** How often a node is probed, in ms. Default: 1,000. */
  probeIntervalMs?: number
  /** How long the answer to a probe may take, in ms. A node that twice gives none is ejected. Default: 500. */
  probeTimeoutMs?: number
  /** How long connecting to a node may take, in ms, if its pool does not say. Default: 2,000. */
  connectTimeoutMs?: number
  /**
   * How long a read outside a transaction may take, in ms, from when it is first sent, over all nodes on which it is
   * tried. If a replica gives no sign of life for half of the time that is left, another node gets the read. Default:
   * no limit.
   */
  readTimeoutMs?: number
  /**
   * How long a read under an exact pin may wait for a replica to catch up before the primary serves it, in ms.
   * Default: 0.
   */
  catchUpMs?: number
  /** Whether a promoted replica becomes the primary without a restart; only with `lagSource: 'wal'`. Default: false. */
  failover?: boolean
  /** Finds the addresses of a host name. Default: `dns.lookup()`. */
  lookup?: Lookup
}

/** The options, checked, with their defaults in place. */
export type ReplicaSetSettings = Readonly<ReturnType<typeof replicaSetSettings>>

/**
 * Reads the options.
 *
 * @throws {WritePinningError} for an option that is wrong.
 */
export function replicaSetSettings(read: OptionReader<ReplicaSetOptions>) {
  const settings = {
    choose: read.oneOfOrFunction('choose', ['least-busy', 'round-robin', 'random'], 'least-busy'),
    maxLagMs: read.number('maxLagMs', 10_000, LAG),
    maxLagBytes: read.number('maxLagBytes', undefined, BYTES),
    lagSource: read.oneOfOrFunction('lagSource', ['wal', 'aurora'], 'wal'),
    whenNoReplica: read.oneOf('whenNoReplica', ['primary', 'error'], 'primary'),
    probeIntervalMs: read.number('probeIntervalMs', 1_000, PROBE_TIME),
    probeTimeoutMs: read.number('probeTimeoutMs', 500, PROBE_TIME),
    connectTimeoutMs: read.number('connectTimeoutMs', 2_000, TIME),
    readTimeoutMs: read.number('readTimeoutMs', undefined, TIME),
    catchUpMs: read.number('catchUpMs', 0, WAIT),
    failover: read.boolean('failover', false),
    lookup: read.function('lookup'),
  }
  refuseWithoutPositions(read.where, settings)
  return settings
}

/** The timers of Node.js take no more than this. */
const MAX_TIMER_MS = 2_147_483_647
const TIME = { min: 1, max: MAX_TIMER_MS, expected: 'a number of milliseconds from 1 on' }
const PROBE_TIME = { min: 10, max: 3_600_000, expected: 'a number of milliseconds from 10 to 3,600,000' }
const LAG = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of milliseconds from 0 on' }
const WAIT = { min: 0, max: 60_000, expected: 'a number of milliseconds from 0 to 60,000' }
const BYTES = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of bytes from 0 on' }

/**
 * Refuses options that need positions or timelines, which only `lagSource: 'wal'` reads. Otherwise they would silently
 * have no effect.
 */
function refuseWithoutPositions(
  where: string,
  { lagSource, maxLagBytes, failover }: ReplicaSetSettings,
): void {
  if (lagSource === 'wal') return
  const source = lagSource === 'aurora' ? "`lagSource: 'aurora'`" : 'a function as `lagSource`'
  const refuse = (option: string, why: string) =>
    wrongOption(`${where}: \`${option}\` has no effect with ${source}, ${why}`)
  if (maxLagBytes !== undefined) {
    throw refuse('maxLagBytes', 'which tells milliseconds only. Leave it out, and set `maxLagMs`.')
  }
  if (failover) {
    throw refuse(
      'failover: true',
      'because a server that was promoted is known by the timeline of its WAL. Leave it out, and give `primary` a name that ' +
        "follows the primary (on Aurora the cluster's endpoint): a changed DNS answer is followed.",
    )
  }
}
