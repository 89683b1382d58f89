import type { DatabaseIntrospector, Dialect, Driver, Kysely, QueryCompiler } from 'kysely'
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
 * A Kysely dialect for one PostgreSQL primary and its replicas. Writes and transactions go to the primary. Reads go to
 * a replica, unless the request's pin or a scope demands the primary.
 *
 * @throws {WritePinningError} for an option that is wrong or unknown, and for a node without a connection string.
 * @example
 * import { Kysely } from 'kysely'
 * import { Pool } from 'pg'
 * import { PrimaryReplicaDialect } from 'write-pinning/kysely'
 *
 * const db = new Kysely<{ comment: { id: number; text: string } }>({
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
   * Begins to watch the nodes of every Kysely instance of this dialect. Without this, that begins at the first query.
   * Resolves with the status when each node has answered or failed, or `probeTimeoutMs` are over. It may wait some
   * seconds longer, until it is known whether the primary answers and how much the replicas lag. The status says of
   * each node whether it is fit.
   *
   * Kysely's own `destroy()` only ends what has run a query. If no query ran, the watching goes on until the process
   * ends. It does not keep the process alive.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_OPEN` if there is no Kysely instance of this dialect (any more).
   * A node that is down is no error. A pool that cannot be made is one.
   * @example
   * const db = new Kysely<Database>({ dialect })
   * await dialect.ready()
   * await app.listen({ port: 3000 })
   */
  ready(): Promise<ClusterStatus> {
    return this.#operator.ready()
  }

  /**
   * The state of the cluster as this process sees it: of each node its role, health, lag, position and counts, and
   * whether it is fit. Before the Kysely instance is first used, by a query or {@link ready}, every node is `unknown`.
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
   * Takes a replica out of service at once: it gets no new reads. Reads that are under way on it run to their end.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_UNKNOWN_NODE` if no node has that name; `ERR_WRITE_PINNING_NODE` for
   * the primary.
   * @example
   * dialect.drain('replica-2') // before its server is taken down
   */
  drain(name: string): void {
    this.#operator.drain(name)
  }

  /**
   * Lets a drained replica serve again.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_UNKNOWN_NODE` if no node has that name; `ERR_WRITE_PINNING_NODE` for
   * the primary.
   * @example
   * dialect.resume('replica-2')
   */
  resume(name: string): void {
    this.#operator.resume(name)
  }

  /**
   * Says who serves reads from now on. It overrides the option `mode` and the environment.
   *
   * - `'split'`: the replicas
   * - `'primary'`: the primary
   * - `'observe'`: the primary, and `status().observed` counts where the reads would have gone
   *
   * Reads that name a node still go to that node.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for any other word.
   * @example
   * dialect.setMode('primary') // the replicas look wrong: no deployment needed
   */
  setMode(mode: Mode): void {
    this.#operator.setMode(mode)
  }

  /**
   * Sets the share of the requests that may read from replicas from now on, from 0 to 1. The primary serves the others.
   * It overrides the option `replicaShare` and the environment.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for anything else than a number from 0 to 1.
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

  // A Kysely of either kind; see `DualAdapter`.
  createIntrospector(db: object): DatabaseIntrospector {
    return new PrimaryIntrospector(db as Kysely<unknown>)
  }
}
