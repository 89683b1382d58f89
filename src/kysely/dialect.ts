import type { DatabaseIntrospector, Dialect, Driver, QueryCompiler } from 'kysely'
import type { ClusterStatus, Mode } from '../nodes/operator.ts'
import { ClusterOperator } from '../routing/cluster-operator.ts'
import { type DualAdapter, PrimaryAdapter } from './adapter.ts'
import {
  type DialectSettings,
  dialectSettings,
  type PrimaryReplicaDialectOptions,
} from './dialect-options.ts'
import { PrimaryReplicaDriver } from './driver.ts'
import { PrimaryIntrospector } from './introspector.ts'
import { MarkingQueryCompiler } from './marks.ts'

/**
 * A Kysely dialect for one PostgreSQL primary and its replicas: writes and transactions go to the primary, reads
 * to a replica, unless the request's pin or a scope demands the primary.
 *
 * @throws {WritePinningError} for every option that is wrong or unknown, and for a node without connection string.
 * @example
 * const db = new Kysely<Database>({
 *   dialect: new PrimaryReplicaDialect({
 *     primary: new Pool({ connectionString: process.env.DATABASE_URL }),
 *     replicas: [new Pool({ connectionString: process.env.DATABASE_REPLICA_URL })],
 *   }),
 * })
 */
export class PrimaryReplicaDialect implements Dialect {
  readonly #settings: DialectSettings
  readonly #operator: ClusterOperator

  constructor(options: PrimaryReplicaDialectOptions) {
    this.#settings = dialectSettings(options)
    this.#operator = new ClusterOperator(this.#settings.router)
  }

  createDriver(): Driver {
    return new PrimaryReplicaDriver(this.#settings, this.#operator)
  }

  /**
   * Begins to watch the nodes of every Kysely instance that was made with this dialect, and resolves with the status once each node
   * was heard of or `probeTimeoutMs` are over: the status says of each whether it is fit. Without it that begins at the first query.
   *
   * Kysely's own `destroy()` ends what has run a query: where none ran, the watch goes on until the process ends, and keeps it from nothing.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_OPEN` where there is no Kysely instance with this dialect (any more). A node
   * that is down is no error; a pool that cannot be made is.
   * @example
   * const db = new Kysely<Database>({ dialect })
   * await dialect.ready()
   * await app.listen({ port: 3000 })
   */
  ready(): Promise<ClusterStatus> {
    return this.#operator.ready()
  }

  /**
   * The state of the cluster as this process sees it: of each node its role, health, lag, position and counts, and whether it
   * is fit. Before the database is opened, by its first query or {@link ready}, every node is `unknown`.
   *
   * @example
   * app.get('/ready', (request, reply) => {
   *   const primary = dialect.status().nodes.find(({ role }) => role === 'primary')
   *   return reply.code(primary?.isFit ? 200 : 503).send({ because: primary?.because })
   * })
   */
  status(): ClusterStatus {
    return this.#operator.status()
  }

  /**
   * Has a replica serve no new reads, at once; those that are under way on it end.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_UNKNOWN_NODE` where no node has that name, and `ERR_WRITE_PINNING_NODE` for
   * the primary.
   * @example
   * dialect.drain('replica-2') // before its server is taken down
   */
  drain(name: string): void {
    this.#operator.drain(name)
  }

  /**
   * Lets a replica serve again that was drained.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_UNKNOWN_NODE` where no node has that name.
   * @example
   * dialect.resume('replica-2')
   */
  resume(name: string): void {
    this.#operator.resume(name)
  }

  /**
   * Says who serves reads from now on, whatever the option `mode` and the environment say: `'split'` the replicas, `'primary'` the
   * primary, `'observe'` the primary, while `status().observed` counts where the reads would have gone. What was asked for by a node's
   * name goes on.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for any other word.
   * @example
   * dialect.setMode('primary') // the replicas look wrong: no deployment needed
   */
  setMode(mode: Mode): void {
    this.#operator.setMode(mode)
  }

  /**
   * Says which part of the requests may read from replicas from now on, whatever the option `replicaShare` and the environment say,
   * from 0 to 1; the primary serves the others.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for what is no such number.
   * @example
   * dialect.setReplicaShare(0.05) // a gradual start
   */
  setReplicaShare(share: number): void {
    this.#operator.setReplicaShare(share)
  }

  createQueryCompiler(): QueryCompiler {
    return new MarkingQueryCompiler()
  }

  createAdapter(): DualAdapter {
    return new PrimaryAdapter()
  }

  // biome-ignore lint/suspicious/noExplicitAny: it takes a Kysely of either kind; see `DualAdapter`.
  createIntrospector(db: any): DatabaseIntrospector {
    return new PrimaryIntrospector(db)
  }
}
