import {
  type DatabaseConnection,
  type Driver,
  type PostgresDialectConfig,
  PostgresDriver,
  type PostgresPool,
} from 'kysely'
import type { Lookup } from '../nodes/host.ts'
import { Node } from '../nodes/node.ts'
import type { NodeOptions } from '../nodes/node-options.ts'
import { NodePool, type OwnClient } from '../nodes/node-pool.ts'
import type { PoolClientLike, PoolLike } from '../nodes/pool.ts'
import { isServerError } from '../nodes/server-error.ts'

/** What of Kysely's PostgresDialect's options every node gets. */
export type NodeDriverConfig = Omit<PostgresDialectConfig, 'pool'>

/** A connection of Kysely's own driver to one node, from its acquisition to its release. */
export interface Session {
  readonly node: NodeDriver
  readonly connection: PostgresConnection
  readonly client: Promise<PoolClientLike> | undefined
  /** Whether its node was the primary when it was taken. */
  readonly wasPrimary: boolean
}

/**
 * Whether what was sent on a session may have been written: its node is the primary, or was when it was taken, whatever that has become by
 * the time of the answer. A failover changes its role first, and cuts its connections after.
 */
export function isOfPrimary({ node, wasPrimary }: Session): boolean {
  return wasPrimary || node.role === 'primary'
}

/** Kysely 0.29's options of an operation that can be aborted; 0.28 gives none. */
export interface AbortOptions {
  readonly signal?: AbortSignal
}

/** Kysely's own driver, with the options that 0.29 hands on to the hooks. */
type NodeOwnDriver = Required<Driver> & {
  acquireConnection(options?: AbortOptions): Promise<DatabaseConnection>
}

/** A session that is not there yet. */
export interface Acquisition {
  readonly connection: Promise<PostgresConnection>
  readonly client: Session['client']
}

/** Kysely's own connection, with what 0.29 adds to it: typed here, because 0.28 does not know it. */
type PostgresConnection = DatabaseConnection & {
  cancelQuery?(provider: ControlConnectionProvider): Promise<void>
  killSession?(provider: ControlConnectionProvider): Promise<void>
  collectSessionInfo?(): Promise<void>
}

/** Lends a connection for a control query; Kysely 0.29's type of this name. */
export type ControlConnectionProvider = (
  consumer: (connection: DatabaseConnection) => Promise<void>,
) => Promise<void>

/** What every node of a dialect gets, beside its own options. */
export interface NodeDefaults {
  readonly maxLagMs: number
  readonly enforceReadOnly: boolean
  readonly connectTimeoutMs: number
  readonly lookup: Lookup | undefined
  readonly driver: NodeDriverConfig
}

/** A node with Kysely's own PostgreSQL driver for it, which gives the sessions of that node and of no other. */
export class NodeDriver extends Node {
  /** Kysely's own driver, for begin, commit and savepoints. */
  readonly driver: NodeOwnDriver
  /** The client that was asked for last. */
  #lastClient: Promise<PoolClientLike> | undefined
  #isDestroyed = false

  constructor(options: NodeOptions, defaults: NodeDefaults) {
    const { name, role, openPool: open, maxLifetimeSeconds } = options
    const { connectTimeoutMs, lookup, enforceReadOnly } = defaults
    const isReplica = role === 'replica'
    super(
      options,
      new NodePool({
        ...{ name, open, isReplica, enforceReadOnly, connectTimeoutMs, maxLifetimeSeconds, lookup },
      }),
      defaults,
    )
    this.driver = new PostgresDriver({ ...defaults.driver, pool: () => this.#openPool() })
  }

  init(): Promise<void> {
    return this.driver.init()
  }

  async acquire(options?: AbortOptions): Promise<Session> {
    for (let isSecond = false; ; isSecond = true) {
      const acquisition = this.beginAcquire(options)
      try {
        return this.sessionOf(acquisition, await acquisition.connection)
      } catch (error) {
        if (!(await this.giveUp(acquisition, error)) || isSecond) throw error
      }
    }
  }

  /** Begins to acquire, without a promise of its own: on the path of every query each one counts. */
  beginAcquire(options?: AbortOptions): Acquisition {
    // A connection is taken at its first statement: the database may have been destroyed since.
    if (this.#isDestroyed) throw new Error(DESTROYED)
    this.busy++
    this.counts.sessions++
    const connection = this.driver.acquireConnection(options)
    // The driver has called `connect()` by now, before its first await.
    const client = this.#lastClient
    this.#lastClient = undefined
    return { connection, client }
  }

  /** The session of an acquisition, once its connection is there. */
  sessionOf({ client }: Acquisition, connection: PostgresConnection): Session {
    return { node: this, connection, client, wasPrimary: this.role === 'primary' }
  }

  /**
   * Lets go of what was acquired in vain; true where another try may succeed. Kysely's driver keeps the client when
   * `onCreateConnection` or `onReserveConnection` throws. Where the database was destroyed meanwhile it has given it back, and
   * who waited next may have it by now.
   */
  async giveUp({ client }: Acquisition, error: unknown): Promise<boolean> {
    this.busy--
    const connected = await client?.catch(() => undefined)
    if (connected === undefined) return this.pool.doWithoutReadOnly(error)
    if (typeof error === 'object' && error !== null) notOfNode.add(error)
    if (this.#isDestroyed && (error as Partial<Error> | undefined)?.message === DESTROYED) return false
    try {
      connected.release(true)
    } catch {
      // The hook itself has given it back.
    }
    return false
  }

  release({ connection }: Session): Promise<void> {
    this.busy--
    return this.driver.releaseConnection(connection)
  }

  /** Ends a session whose state is unknown, `because` of an error, instead of giving it back to the pool. */
  async discard(session: Session, because: unknown): Promise<void> {
    const client = await session.client
    if (client === undefined) return this.release(session)
    this.busy--
    client.release(true)
    if (isServerError(because)) this.pool.reportLoss(client)
  }

  /** Runs a control query (a cancel, a kill) on this node: elsewhere the process id means nothing, or somebody else. */
  readonly lendControlConnection: ControlConnectionProvider = async (consumer) => {
    const session = await this.acquire()
    try {
      await consumer(session.connection)
    } finally {
      await this.release(session)
    }
  }

  /**
   * Asks the server something, over a connection of its own that is closed at once: the pool is the application's. The
   * signal cuts it short; a frozen server would never close its side.
   */
  async ask<T>(questions: (client: OwnClient) => Promise<T>, signal: AbortSignal): Promise<T> {
    const client = await this.pool.ownClient(OWN_CLIENT_TIMEOUT_MS)
    signal.throwIfAborted()
    const cut = () => client.connection?.stream?.destroy()
    signal.addEventListener('abort', cut)
    try {
      await client.connect()
      return await questions(client)
    } finally {
      const closing = setTimeout(cut, OWN_CLIENT_CLOSING_MS).unref()
      await client.end().catch(ignore)
      clearTimeout(closing)
      signal.removeEventListener('abort', cut)
    }
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true
    await this.driver.destroy()
  }

  async #openPool(): Promise<PostgresPool> {
    const { Client, options = {} } = await this.pool.open()
    const observed: PoolLike = {
      Client,
      options,
      connect: () => {
        this.#lastClient = this.pool.connect()
        return this.#lastClient
      },
      end: () => this.pool.end(),
    }
    return observed as PostgresPool
  }
}

/** Errors of the application's hooks, or of a database that was destroyed: another node would not do better. */
const notOfNode = new WeakSet<object>()

/** Whether an error with which a session was acquired in vain says something of its node. */
export function isOfNode(error: unknown): boolean {
  return typeof error !== 'object' || error === null || !notOfNode.has(error)
}

/** What Kysely's own driver says then. */
const DESTROYED = 'driver has already been destroyed'

const OWN_CLIENT_TIMEOUT_MS = 5_000
const OWN_CLIENT_CLOSING_MS = 1_000

function ignore(): void {}
