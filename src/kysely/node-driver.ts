import {
  type DatabaseConnection,
  type Driver,
  type PostgresDialectConfig,
  PostgresDriver,
  type PostgresPool,
} from 'kysely'
import type { Node } from '../replicas/node.ts'
import { type PoolClientLike, type PoolLike, surviveLostConnections } from '../replicas/pool.ts'

/** What of Kysely's PostgresDialect's options every node gets. */
export type NodeDriverConfig = Omit<PostgresDialectConfig, 'pool'>

/** A connection of Kysely's own driver to one node, from its acquisition to its release. */
export interface Session {
  readonly node: NodeDriver
  readonly connection: PostgresConnection
  readonly client: Promise<PoolClientLike>
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

/** Kysely's own PostgreSQL driver for one node; it gives the sessions of that node and of no other. */
export class NodeDriver {
  readonly name: string
  readonly role: Node['role']
  /** Kysely's own driver, for begin, commit and savepoints. */
  readonly driver: Required<Driver>
  readonly #pool: ObservedPool

  constructor(node: Node, config: NodeDriverConfig) {
    this.name = node.name
    this.role = node.role
    this.#pool = new ObservedPool(node)
    this.driver = new PostgresDriver({ ...config, pool: () => this.#pool.open() })
  }

  init(): Promise<void> {
    return this.driver.init()
  }

  async acquire(): Promise<Session> {
    const acquired = this.driver.acquireConnection()
    // The driver has called `connect()` by now, before its first await.
    const client = this.#pool.lastClient
    try {
      return { node: this, connection: await acquired, client }
    } catch (error) {
      // Kysely's driver keeps the client when `onCreateConnection` or `onReserveConnection` throws.
      client.then((each) => each.release(true), ignore)
      throw error
    }
  }

  release({ connection }: Session): Promise<void> {
    return this.driver.releaseConnection(connection)
  }

  /** Ends a session whose state is unknown, instead of giving it back to the pool. */
  async discard({ client }: Session): Promise<void> {
    ;(await client).release(true)
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

  async destroy(): Promise<void> {
    await this.driver.destroy()
  }
}

/** The node's pool as Kysely's driver sees it; it remembers the client that was asked for last. */
class ObservedPool {
  lastClient: Promise<PoolClientLike> = Promise.reject(new Error('no client was asked for'))
  readonly #node: Node

  constructor(node: Node) {
    this.#node = node
    this.lastClient.catch(ignore)
  }

  async open(): Promise<PostgresPool> {
    const pool: PoolLike = await this.#node.openPool()
    const stopSurviving = surviveLostConnections(pool)
    const observed: PoolLike = {
      Client: pool.Client,
      options: pool.options ?? {},
      connect: () => {
        this.lastClient = pool.connect()
        return this.lastClient
      },
      end: async () => {
        await pool.end()
        stopSurviving()
      },
    }
    return observed as PostgresPool
  }
}

function ignore(): void {}
