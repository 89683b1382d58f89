import type { Driver, QueryCompiler, TransactionSettings } from 'kysely'
import { warn } from '../diagnostics.ts'
import type { Cluster } from './cluster.ts'
import { RoutedConnection } from './connection.ts'

type CompileQuery = QueryCompiler['compileQuery']

/** The driver that Kysely sees: it gives connections that find their node by themselves. */
export class PrimaryReplicaDriver implements Required<Driver> {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async init(): Promise<void> {
    await Promise.all(this.#cluster.nodes.map((node) => node.init()))
    if (this.#cluster.replicas.length > 0) return
    warn(
      'WRITE_PINNING_NO_REPLICAS',
      `Cluster '${this.#cluster.name}' has no replicas; everything runs on its primary.`,
    )
  }

  async acquireConnection(): Promise<RoutedConnection> {
    return new RoutedConnection(this.#cluster)
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
    return connection.release()
  }

  async destroy(): Promise<void> {
    const ended = await Promise.allSettled(this.#cluster.nodes.map((node) => node.destroy()))
    for (const each of ended) if (each.status === 'rejected') throw each.reason
  }
}
