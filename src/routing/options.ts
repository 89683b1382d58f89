import { type ClusterNodes, clusterNodes, type NodeInput } from '../nodes/node-options.ts'
import type { ReplicaSetOptions, ReplicaSetSettings } from '../nodes/set-options.ts'
import { replicaSetSettings } from '../nodes/set-settings.ts'
import { PINNING_OPTIONS } from '../option-names.ts'
import {
  booleanOption,
  namesOption,
  oneOfOption,
  optionError,
  optionsObject,
  refuseUnknownOptions,
} from '../options.ts'
import type { ClassifierOptions } from '../sql/classifier.ts'

/** The options of one cluster, whatever client it is used by. */
export interface ClusterOptions extends ReplicaSetOptions {
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
export interface RouterSettings {
  readonly name: string
  readonly nodes: ClusterNodes
  readonly withoutContext: 'primary' | 'replica'
  readonly classifier: ClassifierOptions
  readonly enforceReadOnly: boolean
  readonly replicaSet: ReplicaSetSettings
}

const OF_PLUGIN = { owner: '`writePinning`', names: PINNING_OPTIONS }
const TABLES = '`table` or `schema.table`'
const FUNCTION_NAMES = '`name` or `schema.name`'
// Kysely's own: a migration that a lagging replica does not know of yet would be run twice. And a view that is empty on every replica.
const ALWAYS_PRIMARY = ['kysely_migration', 'kysely_migration_lock', 'pg_prepared_xacts']

/** @throws {WritePinningError} for every option that is wrong or unknown. */
export function routerSettings(where: string, given: unknown, known: readonly string[]): RouterSettings {
  const options = optionsObject(where, given) as ClusterOptions
  refuseUnknownOptions(where, options, known, OF_PLUGIN)
  return {
    name: clusterName(where, options.name),
    nodes: clusterNodes(where, options.primary, options.replicas),
    withoutContext: oneOfOption(
      where,
      'withoutContext',
      options.withoutContext,
      ['primary', 'replica'],
      'primary',
    ),
    classifier: {
      primaryTables: [
        ...ALWAYS_PRIMARY,
        ...namesOption(where, 'primaryTables', options.primaryTables, TABLES),
      ],
      unpinnedTables: namesOption(where, 'unpinnedTables', options.unpinnedTables, TABLES),
      primaryFunctions: namesOption(where, 'primaryFunctions', options.primaryFunctions, FUNCTION_NAMES),
      replicaFunctions: namesOption(where, 'replicaFunctions', options.replicaFunctions, FUNCTION_NAMES),
    },
    enforceReadOnly: booleanOption(where, 'enforceReadOnly', options.enforceReadOnly, true),
    replicaSet: replicaSetSettings(where, options),
  }
}

function clusterName(where: string, given: unknown = 'default'): string {
  if (typeof given === 'string' && given !== '') return given
  throw optionError(where, 'name', given, 'a name')
}
