import type { Driver, QueryCompiler, TransactionSettings } from 'kysely'
import { warn } from '../diagnostics.ts'
import type { CatalogReader } from './catalog-reader.ts'
import type { Cluster } from './cluster.ts'
import { RoutedConnection } from './connection.ts'

type CompileQuery = QueryCompiler['compileQuery']

/** How many connection objects are kept for reuse; they are small and hold no client. */
const MAX_IDLE = 100

/** The driver that Kysely sees: it gives connections that find their node by themselves. */
export class PrimaryReplicaDriver implements Required<Driver> {
  readonly #cluster: Cluster
  readonly #catalog: CatalogReader
  // Kysely remembers, and with `log` wraps, every connection object that it meets: that is dearer than all of routing.
  readonly #idle: RoutedConnection[] = []

  constructor(cluster: Cluster, catalog: CatalogReader) {
    this.#cluster = cluster
    this.#catalog = catalog
  }

  async init(): Promise<void> {
    await Promise.all(this.#cluster.nodes.map((node) => node.init()))
    if (this.#cluster.replicas.length > 0) {
      this.#catalog.read()
      return
    }
    warn(
      'WRITE_PINNING_NO_REPLICAS',
      `Cluster '${this.#cluster.name}' has no replicas; everything runs on its primary.`,
    )
  }

  acquireConnection(): Promise<RoutedConnection> {
    return (this.#idle.pop() ?? new RoutedConnection(this.#cluster)).open()
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
    return connection.savepoint((driver, inner) => driver.rollbackToSavepoint(inner, name, compileQuery))
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
    await this.#catalog.stop()
    const ended = await Promise.allSettled(this.#cluster.nodes.map((node) => node.destroy()))
    for (const each of ended) if (each.status === 'rejected') throw each.reason
  }
}
