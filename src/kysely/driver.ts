import type { Driver, QueryCompiler, TransactionSettings } from 'kysely'
import { warn } from '../diagnostics.ts'
import type { AddressWatch } from '../nodes/address-watch.ts'
import type { Discovery } from '../nodes/discovery.ts'
import type { CatalogReader } from '../routing/catalog-reader.ts'
import type { Cluster } from '../routing/cluster.ts'
import type { NodeDriver } from '../routing/node-driver.ts'
import { RoutedConnection } from './connection.ts'

type CompileQuery = QueryCompiler['compileQuery']

/** How many connection objects are kept for reuse; they are small and hold no client. */
const MAX_IDLE = 100

/** The driver that Kysely sees: it gives connections that find their node by themselves. */
export class PrimaryReplicaDriver implements Required<Driver> {
  readonly #cluster: Cluster
  readonly #catalog: CatalogReader
  readonly #discovery: Discovery<NodeDriver>
  readonly #addresses: AddressWatch
  readonly #onInit: () => void
  readonly #onDestroy: () => void
  // Kysely remembers, and with `log` wraps, every connection object that it meets: that is dearer than all of routing.
  readonly #idle: RoutedConnection[] = []
  #opening: Promise<void> | undefined

  constructor(parts: {
    readonly cluster: Cluster
    readonly catalog: CatalogReader
    readonly discovery: Discovery<NodeDriver>
    readonly addresses: AddressWatch
    /** Told when it is used for the first time, and when nobody can use it any more. */
    readonly onInit: () => void
    readonly onDestroy: () => void
  }) {
    this.#cluster = parts.cluster
    this.#catalog = parts.catalog
    this.#discovery = parts.discovery
    this.#addresses = parts.addresses
    this.#onInit = parts.onInit
    this.#onDestroy = parts.onDestroy
  }

  /** Opens it once, whoever asks first: Kysely at its first query, or `dialect.ready()`. After a failure the next call tries again. */
  init(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  acquireConnection(): Promise<RoutedConnection> {
    let connection = this.#idle.pop()
    // A statement that nobody awaited may have begun on it since.
    while (connection?.isReusable === false) connection = this.#idle.pop()
    return (connection ?? new RoutedConnection(this.#cluster)).open()
  }

  beginTransaction(connection: RoutedConnection, settings: TransactionSettings): Promise<void> {
    return connection.begin(settings)
  }

  commitTransaction(connection: RoutedConnection): Promise<void> {
    return connection.commit()
  }

  rollbackTransaction(connection: RoutedConnection): Promise<void> {
    return connection.rollback()
  }

  savepoint(connection: RoutedConnection, name: string, compileQuery: CompileQuery): Promise<void> {
    return connection.savepoint((driver, inner) => driver.savepoint(inner, name, compileQuery))
  }

  rollbackToSavepoint(connection: RoutedConnection, name: string, compileQuery: CompileQuery): Promise<void> {
    return connection.savepoint(
      (driver, inner) => driver.rollbackToSavepoint(inner, name, compileQuery),
      true,
    )
  }

  releaseSavepoint(connection: RoutedConnection, name: string, compileQuery: CompileQuery): Promise<void> {
    return connection.savepoint((driver, inner) => driver.releaseSavepoint(inner, name, compileQuery))
  }

  releaseConnection(connection: RoutedConnection): Promise<void> {
    // Released twice, it must not be lent out twice.
    const wasReleased = connection.isReusable
    const released = connection.release()
    if (!wasReleased && connection.isReusable && this.#idle.length < MAX_IDLE) this.#idle.push(connection)
    return released
  }

  async destroy(): Promise<void> {
    const { set } = this.#cluster
    this.#onDestroy()
    this.#addresses.stop()
    const ended = await Promise.allSettled([
      ...set.nodes.map((node) => node.destroy()),
      this.#catalog.stop(),
      this.#discovery.stop(),
    ])
    // They are watched until then: what is under way on a node that does not answer would never end.
    await set.stop()
    for (const each of ended) if (each.status === 'rejected') throw each.reason
  }

  async #open(): Promise<void> {
    const { set, name } = this.#cluster
    await set.start()
    this.#onInit()
    await this.#discovery.start()
    this.#addresses.start()
    // What is discovered later needs it as well.
    if (set.replicas.length > 0 || this.#discovery.isAny) this.#catalog.read()
    else {
      warn('WRITE_PINNING_NO_REPLICAS', `Cluster '${name}' has no replicas; everything runs on its primary.`)
    }
  }
}
