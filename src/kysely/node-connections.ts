import { type DatabaseConnection, type Driver, type PostgresDialectConfig, PostgresDriver } from 'kysely'
import type { Node } from '../nodes/node.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import type { Session } from '../nodes/session.ts'

/** What of Kysely's PostgresDialect's options is for each connection to a node. */
export type HookConfig = Omit<PostgresDialectConfig, 'pool'>

/** Lends a connection for a control query; Kysely 0.29's type of this name. */
export type ControlConnectionProvider = (
  consumer: (connection: DatabaseConnection) => Promise<void>,
) => Promise<void>

/** Kysely's own connection, with what 0.29 adds to it: typed here, because 0.28 does not know it. */
export type NodeConnection = DatabaseConnection & {
  cancelQuery?(provider: ControlConnectionProvider): Promise<void>
  killSession?(provider: ControlConnectionProvider): Promise<void>
  collectSessionInfo?(): Promise<void>
}

/** Kysely's own driver, with the options that 0.29 hands on to the hooks. */
type NodeDriver = Driver & {
  acquireConnection(options: { readonly signal?: AbortSignal }): Promise<NodeConnection>
}

/**
 * Kysely's own connections to the nodes: what is sent on a client, the hooks of the application, a cancel and a kill are Kysely's own
 * affair. Which client that is is the router's.
 */
export class NodeConnections {
  readonly #config: HookConfig
  readonly #drivers = new WeakMap<Node, Promise<NodeDriver>>()
  readonly #connections = new WeakMap<PoolClientLike, NodeConnection>()
  /** The client that a driver is about to be given. */
  readonly #next = new WeakMap<NodeDriver, PoolClientLike>()

  constructor(config: HookConfig) {
    this.#config = config
  }

  /** Kysely's connection of a session that {@link prepare} has seen. */
  of({ client }: Session): NodeConnection {
    return this.#connections.get(client) as NodeConnection
  }

  /** Makes Kysely's connection of a client that is new, and calls the hooks; undefined where there is nothing to wait for. */
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
    // It asks its pool for a client before it waits for anything.
    const connection = await opened.acquireConnection(signal === undefined ? {} : { signal })
    this.#connections.set(client, connection)
  }

  /** A driver whose pool gives the client that it is handed. */
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
