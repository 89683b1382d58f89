import { numberOption, optionError, optionsObject, refuseUnknownOptions } from '../options.ts'
import { hostOfString } from './host.ts'
import { isPool } from './pool.ts'

/** Makes a node of each address that a host name has, as a headless service in Kubernetes gives them. */
export interface DiscoverOptions {
  /** The name. Default: the host of the node's own configuration. */
  host?: string
  /** How often the name is looked up, in ms. Default: 30,000. */
  intervalMs?: number
}

/** The options, checked, with their defaults. */
export interface DiscoverSettings {
  readonly host: string
  readonly intervalMs: number
}

const DEFAULT_INTERVAL_MS = 30_000
const INTERVAL = { min: 100, max: 86_400_000, expected: 'a number of milliseconds from 100 on' }

/** Checks a node's option `discover`; `pool` is the node's, which must be one that can be made for each address. */
export function discoverSettings(where: string, given: unknown, pool: unknown): DiscoverSettings | undefined {
  if (given === undefined) return undefined
  const options = optionsObject(`${where}: \`discover\``, given) as DiscoverOptions
  refuseUnknownOptions(`${where}: \`discover\``, options, ['host', 'intervalMs'])
  if (typeof pool === 'function' || isPool(pool)) {
    throw optionError(
      where,
      'pool',
      pool,
      'a configuration or a connection string, where there is `discover`',
    )
  }
  const host = options.host ?? hostOfConfig(pool)
  if (typeof host !== 'string' || host === '') {
    throw optionError(where, 'discover.host', host, 'a host name')
  }
  return {
    host,
    intervalMs: numberOption(where, 'discover.intervalMs', options.intervalMs, DEFAULT_INTERVAL_MS, INTERVAL),
  }
}

function hostOfConfig(pool: unknown): unknown {
  if (typeof pool === 'string') return hostOfString(pool)
  if (typeof pool !== 'object' || pool === null) return undefined
  const { connectionString, host } = pool as { connectionString?: string; host?: string }
  return hostOfString(connectionString) ?? host
}
