import { type DatabaseConnection, type Driver, type PostgresDialectConfig, PostgresDriver } from 'kysely'
import type { Node } from '../nodes/node.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import type { Session } from '../nodes/session.ts'

/** The options of Kysely's own PostgresDialect that concern each connection to a node. */
export type HookConfig = Omit<PostgresDialectConfig, 'pool'>

/** Lends a connection for a control query. Kysely 0.29 has a type of this name. */
export type ControlConnectionProvider = (
  consumer: (connection: DatabaseConnection) => Promise<void>,
) => Promise<void>

/** Kysely's own connection with what 0.29 adds. It is typed here, because 0.28 does not know it. */
export type NodeConnection = DatabaseConnection & {
  cancelQuery?(provider: ControlConnectionProvider): Promise<void>
  killSession?(provider: ControlConnectionProvider): Promise<void>
  collectSessionInfo?(): Promise<void>
}

/** Kysely's own driver with the options that 0.29 hands on to the hooks. */
type NodeDriver = Driver & {
  acquireConnection(options: { readonly signal?: AbortSignal }): Promise<NodeConnection>
}

/**
 * Kysely's own connections to the nodes. Kysely sends, cancels and kills, and calls the application's hooks. The router
 * decides over which client.
 */
export class NodeConnections {
  readonly #config: HookConfig
  readonly #drivers = new WeakMap<Node, Promise<NodeDriver>>()
  readonly #connections = new WeakMap<PoolClientLike, NodeConnection>()
  /** The client that each driver gets next. */
  readonly #next = new WeakMap<NodeDriver, PoolClientLike>()

  constructor(config: HookConfig) {
    this.#config = config
  }

  /** Kysely's connection of a session that {@link prepare} has seen. */
  of({ client }: Session): NodeConnection {
    return this.#connections.get(client) as NodeConnection
  }

  /** Makes Kysely's connection for a new client, and calls the hooks; undefined if there is nothing to wait for. */
  readonly prepare = (session: Session, signal: AbortSignal | undefined): Promise<void> | undefined => {
    if (this.#config.onReserveConnection === undefined && this.#connections.has(session.client))
      return undefined
    return this.#acquire(session, signal)
  }

  async #acquire({ node, client }: Session, signal: AbortSignal | undefined): Promise<void> {
    let driver = this.#drivers.get(node)
    if (driver === undefined) {
      driver = this.#openDriver(node)
      this.#drivers.set(node, driver)
    }
    const opened = await driver
    this.#next.set(opened, client)
    // Kysely's driver asks its pool for a client before it waits for anything.
    const connection = await opened.acquireConnection(signal === undefined ? {} : { signal })
    this.#connections.set(client, connection)
  }

  /** Makes a driver whose pool gives it the client that is next. */
  async #openDriver({ pool }: Node): Promise<NodeDriver> {
    const { Client, options = {} } = await pool.open()
    const handing = {
      Client,
      options,
      connect: async () => this.#next.get(driver),
      end: async () => {},
    }
    const driver = new PostgresDriver({ ...this.#config, pool: handing as never }) as NodeDriver
    await driver.init()
    return driver
  }
}
