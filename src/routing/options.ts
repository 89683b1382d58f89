import { clusterNodes, type NodeInput } from '../nodes/node-options.ts'
import { type OperatorOptions, operatorSettings } from '../nodes/operator.ts'
import { type ReplicaSetOptions, replicaSetSettings } from '../nodes/set-options.ts'
import { CLUSTER_OPTIONS, OF_PLUGIN } from '../option-names.ts'
import { OptionReader } from '../options.ts'

/** The options of whatever routes statements to a primary and its replicas. */
export interface ClusterOptions extends ReplicaSetOptions, OperatorOptions {
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
export type RouterSettings = Readonly<ReturnType<typeof clusterSettings>>

/**
 * Checks the options of the one called `where`; it has those of `alsoKnown` beside them, which it checks by itself.
 *
 * @throws {WritePinningError} for every option that is wrong or unknown.
 */
export function clusterSettings(where: string, given: unknown, alsoKnown: readonly string[] = []) {
  const known = [...CLUSTER_OPTIONS, ...alsoKnown] as (keyof ClusterOptions)[]
  const read = new OptionReader<ClusterOptions>(where, given, known, { elsewhere: OF_PLUGIN })
  return {
    name: read.text('name', 'default', /./s, 'a name'),
    nodes: clusterNodes(where, read.given.primary, read.given.replicas),
    withoutContext: read.oneOf('withoutContext', ['primary', 'replica'], 'primary'),
    classifier: {
      primaryTables: [...ALWAYS_PRIMARY, ...read.names('primaryTables', TABLES)],
      unpinnedTables: read.names('unpinnedTables', TABLES),
      primaryFunctions: read.names('primaryFunctions', FUNCTIONS),
      replicaFunctions: read.names('replicaFunctions', FUNCTIONS),
    },
    enforceReadOnly: read.boolean('enforceReadOnly', true),
    operator: operatorSettings(read),
    replicaSet: replicaSetSettings(read),
  }
}

const TABLES = '`table` or `schema.table`'
const FUNCTIONS = '`name` or `schema.name`'
/**
 * Where Kysely, Drizzle, Prisma, TypeORM, Knex, Sequelize and MikroORM remember the migrations that have run: one that a lagging replica does not know of yet would be
 * run twice. And a view that is empty on every replica.
 */
const ALWAYS_PRIMARY = [
  ...['kysely_migration', 'kysely_migration_lock', '__drizzle_migrations', '_prisma_migrations'],
  ...['knex_migrations', 'knex_migrations_lock', 'SequelizeMeta', 'SequelizeData', 'mikro_orm_migrations'],
  ...['migrations', 'typeorm_metadata', 'pg_prepared_xacts', 'pg_sequences'],
]
