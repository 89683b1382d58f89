import { CompiledQuery, type DatabaseConnection, PostgresDriver } from 'kysely'
import type { ClusterOperator } from '../routing/cluster-operator.ts'
import { Router } from '../routing/router.ts'
import { PrimaryReplicaConnection } from './connection.ts'
import type { DialectSettings } from './dialect-options.ts'
import { NodeConnections } from './node-connections.ts'

/**
 * Kysely's own driver with connections that find their node. To these, begin, commit and savepoints are texts like any
 * other.
 */
export class PrimaryReplicaDriver extends PostgresDriver {
  readonly #router: Router<PrimaryReplicaConnection>

  constructor({ router, hooks }: DialectSettings, operator: ClusterOperator) {
    // Kysely's driver never asks this pool for a client.
    super({ pool: undefined as never })
    const connections = new NodeConnections(hooks)
    this.#router = new Router(router, operator, {
      makeConnection: (cluster) => new PrimaryReplicaConnection(cluster, connections),
      prepare: connections.prepare,
    })
  }

  override init(): Promise<void> {
    return this.#router.init()
  }

  override acquireConnection(): Promise<PrimaryReplicaConnection> {
    return this.#router.connect().opened
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(ROLLBACK)
    } catch (error) {
      // If the transaction was begun and ended by hand, as in MikroORM, Kysely does not give the connection back now.
      ;(connection as PrimaryReplicaConnection).end()
      throw error
    }
  }

  override releaseConnection(connection: DatabaseConnection): Promise<void> {
    ;(connection as PrimaryReplicaConnection).release()
    return DONE
  }

  override destroy(): Promise<void> {
    return this.#router.destroy()
  }
}

const DONE = Promise.resolve()
const ROLLBACK = CompiledQuery.raw('rollback')
