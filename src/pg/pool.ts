import pg from 'pg'
import type { ClusterStatus, Mode } from '../nodes/operator.ts'
import type { PoolLike } from '../nodes/pool.ts'
import { ClusterOperator } from '../routing/cluster-operator.ts'
import { clusterSettings } from '../routing/options.ts'
import { Router } from '../routing/router.ts'
import { type Callback, inTurn } from './callbacks.ts'
import { PgConnection, RoutedClient } from './client.ts'
import { copyOfConfig } from './config-copy.ts'
import { driverOf } from './driver.ts'
import type { DriverPool, PoolMember } from './driver-pool.ts'
import { configOf, type PrimaryReplicaPoolOptions } from './options.ts'
import { refuseAsModule } from './pool-is-no-module.ts'
import { ServerProcesses } from './server-processes.ts'
import { PgStatement, type Results } from './statement.ts'
import { isSubmittable } from './submitted.ts'

/** The events of a node's pool that are about one connection. This pool emits them as its own. */
const EVENTS = ['connect', 'remove', 'error'] as const

/** When the pool ends: how long queries may go on that still run on released clients, in ms. */
const LEFT_MS = 1_000

const ENDED = 'Cannot use a pool after calling end on the pool'

type WithClient = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (errorOrTrue?: unknown) => void,
) => void

/**
 * `pg`'s own pool, so that `instanceof pg.Pool` holds for this one. Everything that lends connections is replaced
 * here.
 */
const Base = pg.Pool as unknown as new (
  config: pg.PoolConfig,
) => Omit<pg.Pool, 'query' | 'connect' | 'end' | 'totalCount' | 'idleCount' | 'waitingCount' | 'expiredCount'>

/**
 * A `pg` `Pool` over one PostgreSQL primary and its replicas, for everything that is built on a `pg` pool. Writes and
 * transactions go to the primary. Reads go to a replica, unless the request's pin or a scope demands the primary.
 *
 * @throws {WritePinningError} for an option that is wrong or unknown, and for a node without a connection string.
 * @example
 * import { PrimaryReplicaPool } from 'write-pinning/pg'
 *
 * const pool = new PrimaryReplicaPool({
 *   primary: process.env.DATABASE_URL,
 *   replicas: [process.env.DATABASE_REPLICA_URL],
 * })
 * const { rows } = await pool.query('select * from comments where page = $1', ['home'])
 */
export class PrimaryReplicaPool extends Base {
  readonly #operator: ClusterOperator
  readonly #router: Router<PgConnection>
  readonly #pools = new Set<PoolLike>()
  readonly #left = new Set<PgConnection>()
  readonly #processes = new ServerProcesses()
  readonly #clients = new Set<PoolMember>()
  #driver: typeof pg | undefined
  #isOpen = false
  #opening: Promise<void> | undefined

  constructor(options: PrimaryReplicaPoolOptions) {
    const settings = clusterSettings('PrimaryReplicaPool', options)
    super(configOf(options.primary))
    refuseAsModule(this)
    this.#operator = new ClusterOperator(settings)
    this.#router = new Router(settings, this.#operator, {
      makeConnection: (cluster) => new PgConnection(cluster),
      opened: (pool) => this.#hear(pool),
    })
  }

  /** Sends a query to the node where it belongs, in every form that `pg` has. */
  readonly query = ((config: unknown, values?: unknown, callback?: unknown): unknown => {
    const given = [callback, values, config].find((each) => typeof each === 'function')
    const then = given as Callback<unknown> | undefined
    const sent = this.#query(config, typeof values === 'function' ? undefined : values)
    if (then === undefined) return sent
    inTurn(sent, then)
    return undefined
  }) as pg.Pool['query']

  /**
   * Lends a client. It is on no node before its first statement, which connects and fails if it cannot. The client
   * moves to the primary at the first statement that needs it. It stays there while a transaction is open, or something
   * is left in the session.
   */
  readonly connect = ((callback?: WithClient): Promise<pg.PoolClient> | undefined => {
    const lent = this.#lend()
    if (callback === undefined) return lent
    lent.then(
      (client) =>
        process.nextTick(callback, undefined, client, (given?: unknown) => client.release(given as true)),
      (error: Error) => process.nextTick(callback, error, undefined, () => {}),
    )
    return undefined
  }) as pg.Pool['connect']

  /**
   * Ends the pools of all nodes and stops watching them, when everything that was lent is back. Rejects if it was
   * called before.
   */
  readonly end = ((callback?: Callback<void>): Promise<void> | undefined => {
    const ended = this.#end()
    if (callback === undefined) return ended
    inTurn(ended, callback)
    return undefined
  }) as pg.Pool['end']

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ending) await this.end()
  }

  /**
   * The module `pg` with a `Client` and a `Pool` that are routed over this pool, for libraries that make these by
   * themselves: Sequelize (`dialectModule`), pg-promise (`Client`), TypeORM (`driver`). For Knex there is
   * `write-pinning/knex`.
   *
   * An idle client of such a library holds no connection, unless a transaction is open or something is left in the
   * session (a lock, a temporary table, `LISTEN`). So the library's own pool may be as large as all nodes' pools
   * together. Ending these clients does not end this pool.
   *
   * @example
   * const sequelize = new Sequelize({ dialect: 'postgres', dialectModule: pool.driver, pool: { max: 50 } })
   */
  get driver(): typeof pg {
    this.#driver ??= driverOf(this.#driverPool())
    return this.#driver
  }

  /** How many connections the pools of all nodes have. */
  get totalCount(): number {
    return this.#sum((pool) => pool.totalCount)
  }

  /** How many of them are idle. */
  get idleCount(): number {
    return this.#sum((pool) => pool.idleCount)
  }

  /** How many queries wait for a connection. */
  get waitingCount(): number {
    return this.#sum((pool) => pool.waitingCount)
  }

  /** How many connections are older than they may be. */
  get expiredCount(): number {
    return this.#sum((pool) => pool.expiredCount)
  }

  /**
   * Begins to watch the nodes. Without this, that begins at the first query. Resolves with the status when each node
   * has answered or failed, or `probeTimeoutMs` are over. It may wait some seconds longer, until it is known whether
   * the primary answers and how much the replicas lag. The status says of each node whether it is fit.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_OPEN` if the pool was ended. A node that is down is no error.
   * A pool that cannot be made is one.
   * @example
   * await pool.ready()
   * await app.listen({ port: 3000 })
   */
  ready(): Promise<ClusterStatus> {
    return this.#operator.ready()
  }

  /**
   * The state of the cluster as this process sees it: of each node its role, health, lag, position and counts, and
   * whether it is fit. Before the first query or {@link ready}, every node is `unknown`.
   *
   * @example
   * app.get('/ready', (request, reply) => {
   *   const primary = pool.status().nodes.find(({ role }) => role === 'primary')
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
   * pool.drain('replica-2') // before its server is taken down
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
   * pool.resume('replica-2')
   */
  resume(name: string): void {
    this.#operator.resume(name)
  }

  /**
   * Sets who serves reads from now on. It overrides the option `mode` and the environment.
   *
   * - `'split'`: the replicas
   * - `'primary'`: the primary
   * - `'observe'`: the primary, and `status().observed` counts where the reads would have gone
   *
   * Reads that name a node still go to that node.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for any other word.
   * @example
   * pool.setMode('primary') // the replicas look wrong: no deployment needed
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
   * pool.setReplicaShare(0.05) // a gradual start
   */
  setReplicaShare(share: number): void {
    this.#operator.setReplicaShare(share)
  }

  #query(config: unknown, values: unknown): Promise<unknown> {
    if (typeof config === 'function') {
      const why = 'Passing a function as the first parameter to pool.query is not supported'
      return Promise.reject(new Error(why))
    }
    if (isSubmittable(config)) return this.#submit(config)
    if (config === null || config === undefined) {
      return Promise.reject(new TypeError('Client was passed a null or undefined query'))
    }
    const cancelled = this.#processes.cancelElsewhere(config, values)
    if (cancelled !== undefined) return cancelled
    // There is a listener for lent clients, so this query must use one.
    if (this.listenerCount('acquire') > 0 || this.listenerCount('release') > 0) {
      return this.#queryByClient(config as string, values)
    }
    const statement = new PgStatement(config, values)
    return this.#isOpen && !this.ending ? this.#send(statement) : this.#sendOnceOpen(statement)
  }

  /**
   * The connection is released at once, and goes back when the statement is over. So no promise of ours has to wait
   * for that.
   */
  #send(statement: PgStatement): Promise<Results> {
    const connection = this.#router.connect()
    const sent = connection.run(statement)
    connection.release()
    return sent
  }

  async #sendOnceOpen(statement: PgStatement): Promise<Results> {
    await this.#open()
    return await this.#send(statement)
  }

  async #queryByClient(config: string | object, values: unknown): Promise<unknown> {
    const client = await this.#lend()
    try {
      const sent = typeof config === 'object' ? copyOfConfig(config) : config
      return await client.query(sent as string, values as unknown[])
    } finally {
      client.release()
    }
  }

  async #submit(given: pg.Submittable): Promise<unknown> {
    const client = await this.#lend()
    let isBack = false
    return await new Promise((resolve, reject) => {
      client.query(
        given as never,
        ((error: unknown, result: unknown) => {
          // `pg` calls back twice if a value cannot be sent.
          if (!isBack) client.release()
          isBack = true
          if (error) reject(error)
          else resolve(result)
        }) as never,
      )
    })
  }

  async #lend(): Promise<pg.PoolClient> {
    if (!this.#isOpen || this.ending) await this.#open()
    const connection = this.#router.connect()
    const client = new RoutedClient(connection, {
      takeBack: (lent, isToBeClosed, reason) => {
        connection.release(isToBeClosed)
        lent.forget()
        if (connection.isBusy) this.#wasLeft(connection)
        this.emit('release', reason as Error, lent as unknown as pg.PoolClient)
      },
      types: this.#types,
      processes: this.#processes,
    }) as unknown as pg.PoolClient
    this.emit('acquire', client)
    return client
  }

  #open(): Promise<void> {
    if (this.ending) return Promise.reject(new Error(ENDED))
    const opening = this.#router.init().then(() => {
      this.#isOpen = true
    })
    this.#opening = opening
    return opening
  }

  async #end(): Promise<void> {
    if (this.ending) throw new Error('Called end on pool more than once')
    const state = this as { -readonly [Name in 'ending' | 'ended']: boolean }
    state.ending = true
    for (const client of this.#clients) client.poolEnds()
    // Queries that came before the pool was open get their connection one turn of the event loop after it opens.
    await this.#opening?.catch(ignore)
    if (this.#opening !== undefined) await new Promise(setImmediate)
    const late = setTimeout(() => {
      for (const each of this.#left) if (each.wasLeft) each.end()
    }, LEFT_MS)
    await this.#router.allBack()
    clearTimeout(late)
    await this.#router.destroy()
    state.ended = true
  }

  get #types(): unknown {
    return (this.options as { types?: unknown }).types
  }

  /** The pool, as the clients of the driver see it. */
  #driverPool(): DriverPool {
    return {
      cluster: this.#operator.name,
      open: () => (this.#isOpen && !this.ending ? Promise.resolve() : this.#open()),
      isEnding: () => this.ending,
      lend: () => {
        if (this.ending) throw new Error(ENDED)
        return this.#router.connect()
      },
      types: this.#types,
      config: this.options,
      processes: this.#processes,
      clients: this.#clients,
    }
  }

  /** Records a connection that was released while a query is under way on it, such as a cursor that was not closed. */
  #wasLeft(connection: PgConnection): void {
    for (const each of this.#left) if (!each.wasLeft) this.#left.delete(each)
    connection.wasLeft = true
    this.#left.add(connection)
  }

  /** Emits what a node's pool emits. An `error` without a listener must not end the process. */
  #hear(pool: PoolLike): void {
    this.#pools.add(pool)
    const source = pool as unknown as Partial<pg.Pool>
    for (const event of EVENTS) {
      source.on?.(event as 'connect', (...args: unknown[]) => {
        if (event !== 'error' || this.listenerCount('error') > 0) this.emit(event, ...(args as [never]))
      })
    }
  }

  #sum(count: (pool: Partial<pg.Pool>) => number | undefined): number {
    let sum = 0
    for (const pool of this.#pools) sum += count(pool as Partial<pg.Pool>) ?? 0
    return sum
  }
}

function ignore(): void {}
