import { WritePinningError } from '../errors.ts'
import { booleanOption, functionOption, numberOption, oneOfOption } from '../options.ts'
import type { ReplicaSetOptions, ReplicaSetSettings } from './set-options.ts'

/** Timers of Node.js take no more than this. */
const MAX_TIMER_MS = 2_147_483_647
const TIME = { min: 1, max: MAX_TIMER_MS, expected: 'a number of milliseconds from 1 on' }
const PROBE_TIME = { min: 10, max: 3_600_000, expected: 'a number of milliseconds from 10 to 3,600,000' }
const LAG = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of milliseconds from 0 on' }
const WAIT = { min: 0, max: 60_000, expected: 'a number of milliseconds from 0 to 60,000' }
const BYTES = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of bytes from 0 on' }

/** @throws {WritePinningError} for every option that is wrong. */
export function replicaSetSettings(where: string, options: ReplicaSetOptions): ReplicaSetSettings {
  const number = numberOption
  const settings: ReplicaSetSettings = {
    choose: wordOrFunction(
      where,
      'choose',
      options.choose,
      ['least-busy', 'round-robin', 'random'],
      'least-busy',
    ),
    maxLagMs: number(where, 'maxLagMs', options.maxLagMs, 10_000, LAG),
    maxLagBytes: number(where, 'maxLagBytes', options.maxLagBytes, undefined, BYTES),
    lagSource: wordOrFunction(where, 'lagSource', options.lagSource, ['wal', 'aurora'], 'wal'),
    whenNoReplica: oneOfOption(
      where,
      'whenNoReplica',
      options.whenNoReplica,
      ['primary', 'error'],
      'primary',
    ),
    probeIntervalMs: number(where, 'probeIntervalMs', options.probeIntervalMs, 1_000, PROBE_TIME),
    probeTimeoutMs: number(where, 'probeTimeoutMs', options.probeTimeoutMs, 500, PROBE_TIME),
    connectTimeoutMs: number(where, 'connectTimeoutMs', options.connectTimeoutMs, 2_000, TIME),
    readTimeoutMs: number(where, 'readTimeoutMs', options.readTimeoutMs, undefined, TIME),
    catchUpMs: number(where, 'catchUpMs', options.catchUpMs, 0, WAIT),
    failover: booleanOption(where, 'failover', options.failover, false),
    lookup: functionOption(where, 'lookup', options.lookup),
  }
  refuseWithoutPositions(where, settings)
  return settings
}

/** Only `lagSource: 'wal'` reads positions and timelines: what goes by them would have no effect, without a word. */
function refuseWithoutPositions(
  where: string,
  { lagSource, maxLagBytes, failover }: ReplicaSetSettings,
): void {
  if (lagSource === 'wal') return
  const source = lagSource === 'aurora' ? "`lagSource: 'aurora'`" : 'a function as `lagSource`'
  const refuse = (option: string, why: string) => {
    const message = `${where}: \`${option}\` has no effect with ${source}, ${why}`
    return new WritePinningError('ERR_WRITE_PINNING_OPTION', message)
  }
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

function wordOrFunction<const Word extends string, Fn>(
  where: string,
  name: string,
  value: Word | Fn | undefined,
  words: readonly Word[],
  fallback: Word,
): Word | Fn {
  if (typeof value === 'function') return value
  return oneOfOption(where, name, value, words, fallback, 'or a function')
}
