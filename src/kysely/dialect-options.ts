import type { PostgresDialectConfig } from 'kysely'
import { type ClusterNodes, clusterNodes, type NodeInput } from '../nodes/node-options.ts'
import type { ReplicaSetOptions, ReplicaSetSettings } from '../nodes/set-options.ts'
import { replicaSetSettings } from '../nodes/set-settings.ts'
import { DIALECT_OPTIONS, PINNING_OPTIONS } from '../option-names.ts'
import {
  booleanOption,
  functionOption,
  namesOption,
  oneOfOption,
  optionError,
  optionsObject,
  refuseUnknownOptions,
} from '../options.ts'
import type { NodeDriverConfig } from '../routing/node-driver.ts'
import type { ClassifierOptions } from '../sql/classifier.ts'

/** The options of {@link PrimaryReplicaDialect}. */
export interface PrimaryReplicaDialectOptions extends Omit<PostgresDialectConfig, 'pool'>, ReplicaSetOptions {
  /** The server that takes writes: a pool, its configuration, a connection string, or `{ name, pool }`. */
  primary: NodeInput
  /** The servers that follow it; `[]` sends everything to the primary, with one warning. */
  replicas: readonly NodeInput[]
  /** The cluster's name, where an application has several. Default: `'default'`. */
  name?: string
  /**
   * Where reads outside any request or scope go. Default: `'primary'`, because a lost context looks just like
   * this. `'replica'` spreads them.
   */
  withoutContext?: 'primary' | 'replica'
  /**
   * Tables that are read from the primary only, as `table` or `schema.table`; so is what reads them by another name: views, policies,
   * partitions and what they are partitions of, functions in SQL and PL/pgSQL. Default: `[]`.
   */
  primaryTables?: readonly string[]
  /** Tables whose writes pin nobody (sessions, `last_seen_at`, audit rows), as `table` or `schema.table`. Default: `[]`. */
  unpinnedTables?: readonly string[]
  /** Functions that run on the primary only, and count as writes, as `name` or `schema.name`. Default: `[]`. */
  primaryFunctions?: readonly string[]
  /** Functions that may run on a replica although they are declared volatile, as `name` or `schema.name`. Default: `[]`. */
  replicaFunctions?: readonly string[]
  /**
   * Whether the sessions of replicas are read-only, also where the server is not. A pool of yours is then read-only for
   * whoever else takes connections from it. Default: true.
   */
  enforceReadOnly?: boolean
}

/** The options, checked, with their defaults. */
export interface DialectSettings {
  readonly name: string
  readonly nodes: ClusterNodes
  readonly withoutContext: 'primary' | 'replica'
  readonly classifier: ClassifierOptions
  readonly enforceReadOnly: boolean
  readonly replicaSet: ReplicaSetSettings
  readonly driver: NodeDriverConfig
}

const WHERE = 'PrimaryReplicaDialect'
const FUNCTIONS = ['cursor', 'controlClient', 'onCreateConnection', 'onReserveConnection'] as const
// `controlClient` is an option of Kysely's from 0.29 on.
const KNOWN: readonly (keyof PrimaryReplicaDialectOptions | 'controlClient')[] = DIALECT_OPTIONS
const OF_PLUGIN = { owner: '`writePinning`', names: PINNING_OPTIONS }
const TABLES = '`table` or `schema.table`'
const FUNCTION_NAMES = '`name` or `schema.name`'
// Kysely's own: a migration that a lagging replica does not know of yet would be run twice. And a view that is empty on every replica.
const ALWAYS_PRIMARY = ['kysely_migration', 'kysely_migration_lock', 'pg_prepared_xacts']

/** @throws {WritePinningError} for every option that is wrong or unknown. */
export function dialectSettings(given: unknown): DialectSettings {
  const options = optionsObject(WHERE, given) as PrimaryReplicaDialectOptions
  refuseUnknownOptions(WHERE, options, KNOWN, OF_PLUGIN)
  return {
    name: clusterName(options.name),
    nodes: clusterNodes(WHERE, options.primary, options.replicas),
    withoutContext: oneOfOption(
      WHERE,
      'withoutContext',
      options.withoutContext,
      ['primary', 'replica'],
      'primary',
    ),
    classifier: {
      primaryTables: [
        ...ALWAYS_PRIMARY,
        ...namesOption(WHERE, 'primaryTables', options.primaryTables, TABLES),
      ],
      unpinnedTables: namesOption(WHERE, 'unpinnedTables', options.unpinnedTables, TABLES),
      primaryFunctions: namesOption(WHERE, 'primaryFunctions', options.primaryFunctions, FUNCTION_NAMES),
      replicaFunctions: namesOption(WHERE, 'replicaFunctions', options.replicaFunctions, FUNCTION_NAMES),
    },
    enforceReadOnly: booleanOption(WHERE, 'enforceReadOnly', options.enforceReadOnly, true),
    replicaSet: replicaSetSettings(WHERE, options),
    driver: driverConfig(options),
  }
}

function clusterName(given: unknown = 'default'): string {
  if (typeof given === 'string' && given !== '') return given
  throw optionError(WHERE, 'name', given, 'a name')
}

function driverConfig(options: PrimaryReplicaDialectOptions): NodeDriverConfig {
  const config: Record<string, unknown> = {}
  for (const name of FUNCTIONS) {
    const value = (options as unknown as Record<string, unknown>)[name]
    if (value !== undefined) config[name] = functionOption(WHERE, name, value)
  }
  return config
}
