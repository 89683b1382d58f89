import { clusterNodes, type NodeInput } from '../nodes/node-options.ts'
import { type OperatorOptions, operatorSettings } from '../nodes/operator.ts'
import { type ReplicaSetOptions, replicaSetSettings } from '../nodes/replica-set-options.ts'
import { CLUSTER_OPTIONS, OWNED_BY_PLUGIN } from '../option-names.ts'
import { OptionReader } from '../options.ts'

/** The options that the pool and the dialect have in common. */
export interface ClusterOptions extends ReplicaSetOptions, OperatorOptions {
  /**
   * The server that takes writes: a pool, its configuration, a connection string, a function that makes a pool, or `{
   * name, pool }`.
   */
  primary: NodeInput
  /**
   * The servers that follow it, each given in the same ways. With `[]` everything runs on the primary, and a warning
   * says so once.
   */
  replicas: readonly NodeInput[]
  /** The cluster's name, if the application has several. Default: `'default'`. */
  name?: string
  /**
   * Where reads outside any request or scope go. `'replica'` spreads them. Default: `'primary'`, because a lost context
   * looks just like this.
   */
  withoutContext?: 'primary' | 'replica'
  /**
   * Tables that are read from the primary only, as `table` or `schema.table`. This also holds for what reads them under
   * another name: views, policies, partitions and what they are partitions of, and functions in SQL and PL/pgSQL.
   * Default: `[]`.
   */
  primaryTables?: readonly string[]
  /**
   * Tables whose writes pin nobody (sessions, `last_seen_at`, audit rows), as `table` or `schema.table`. Default: `[]`.
   */
  unpinnedTables?: readonly string[]
  /** Functions that run on the primary only, as `name` or `schema.name`. A call pins if the server says that it wrote. Default: `[]`. */
  primaryFunctions?: readonly string[]
  /**
   * Functions that may run on a replica although they are declared volatile, as `name` or `schema.name`. Default: `[]`.
   */
  replicaFunctions?: readonly string[]
  /**
   * Whether the sessions of replicas are read-only, even if the server is not. If a node is a pool of yours, its
   * connections are then read-only for everybody who uses it. Default: true.
   */
  enforceReadOnly?: boolean
}

/** The options, checked, with their defaults in place. */
export type RouterSettings = Readonly<ReturnType<typeof clusterSettings>>

/**
 * Reads the options of the pool or dialect called `where`. It also accepts the names in `alsoKnown`, which the caller
 * checks.
 *
 * @throws {WritePinningError} for an option that is wrong or unknown.
 */
export function clusterSettings(where: string, given: unknown, alsoKnown: readonly string[] = []) {
  const known = [...CLUSTER_OPTIONS, ...alsoKnown] as (keyof ClusterOptions)[]
  const read = new OptionReader<ClusterOptions>(where, given, known, { elsewhere: OWNED_BY_PLUGIN })
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
 * The tables in which Kysely, Drizzle, Prisma, TypeORM, Knex, Sequelize and MikroORM remember which migrations have
 * run. A migration that a lagging replica does not know of yet would run twice. Also views that a replica cannot answer
 * like the primary: `pg_prepared_xacts` is empty on every replica.
 */
const ALWAYS_PRIMARY = [
  ...['kysely_migration', 'kysely_migration_lock', '__drizzle_migrations', '_prisma_migrations'],
  ...['knex_migrations', 'knex_migrations_lock', 'SequelizeMeta', 'SequelizeData', 'mikro_orm_migrations'],
  ...['migrations', 'typeorm_metadata', 'pg_prepared_xacts', 'pg_sequences'],
]
