import { type OptionReader, wrongOption } from '../options.ts'
import type { Choose } from './choice.ts'
import type { Lookup } from './host.ts'
import type { LagSource } from './probe.ts'

/** Options of a dialect that are about its nodes. */
export interface ReplicaSetOptions {
  /**
   * How a replica is chosen: `'least-busy'` (default; the less busy of two drawn at random), `'round-robin'`, `'random'`, or a
   * function that is given those that may serve.
   */
  choose?: Choose
  /** How late a replica may be, in ms, and still serve reads. Default: 10,000. */
  maxLagMs?: number
  /** How many bytes of WAL a replica may be behind, and still serve reads; with `lagSource: 'wal'` only. Default: any number. */
  maxLagBytes?: number
  /** Where lag is read: `'wal'` (default), `'aurora'`, or a function that gives it in ms. */
  lagSource?: LagSource
  /** What serves when no replica is fit: `'primary'` (default; with at most half of its pool), or `'error'`; who has written still reads from the primary. */
  whenNoReplica?: 'primary' | 'error'
  /** How often a node is asked for its state, in ms. Default: 1,000. */
  probeIntervalMs?: number
  /** How long an answer to that may take, in ms; a node that twice gives none is ejected. Default: 500. */
  probeTimeoutMs?: number
  /** How long connecting to a node may take, in ms, where its pool does not say. Default: 2,000. */
  connectTimeoutMs?: number
  /**
   * How long a read outside a transaction may take from when it is sent, in ms, over all nodes that it is tried on: a replica that gives
   * no sign of life for half of what is left loses it to another node. Default: no bound.
   */
  readTimeoutMs?: number
  /** How long a read under an exact pin may wait for a replica to catch up before the primary serves, in ms. Default: 0. */
  catchUpMs?: number
  /** Whether a replica that was promoted becomes the primary, without a restart; with `lagSource: 'wal'` only. Default: false. */
  failover?: boolean
  /** Finds the address of a host name, as `dns.lookup()` does, which is the default. */
  lookup?: Lookup
}

/** The options, checked, with their defaults. */
export type ReplicaSetSettings = Readonly<ReturnType<typeof replicaSetSettings>>

/** @throws {WritePinningError} for every option that is wrong. */
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

/** Timers of Node.js take no more than this. */
const MAX_TIMER_MS = 2_147_483_647
const TIME = { min: 1, max: MAX_TIMER_MS, expected: 'a number of milliseconds from 1 on' }
const PROBE_TIME = { min: 10, max: 3_600_000, expected: 'a number of milliseconds from 10 to 3,600,000' }
const LAG = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of milliseconds from 0 on' }
const WAIT = { min: 0, max: 60_000, expected: 'a number of milliseconds from 0 to 60,000' }
const BYTES = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of bytes from 0 on' }

/** Only `lagSource: 'wal'` reads positions and timelines: what goes by them would have no effect, without a word. */
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
