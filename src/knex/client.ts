import type { Knex } from 'knex'
import PostgresClient from 'knex/lib/dialects/postgres/index.js'
import { WritePinningError } from '../errors.ts'

/** The part of a `PrimaryReplicaPool` that is needed here. */
export interface PoolWithDriver {
  readonly driver: object
}

/**
 * Knex's own PostgreSQL client over a `PrimaryReplicaPool`. Its reads go to the replicas, and everything else goes to
 * the primary. It needs no `connection`. The rest of its configuration means the same as without this package.
 *
 * Knex keeps a pool of clients. They hold no connection while they are idle. Knex's default of 10 is meant for one
 * server: allow as many as the pools of all nodes have together. `knex.destroy()` ends Knex's pool. `pool.end()` ends
 * the connections.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` if it is given anything else than a `PrimaryReplicaPool`.
 * @example
 * import knex from 'knex'
 * import { knexClient } from 'write-pinning/knex'
 * import { PrimaryReplicaPool } from 'write-pinning/pg'
 *
 * const pool = new PrimaryReplicaPool({ primary: process.env.DATABASE_URL, replicas: [process.env.DATABASE_REPLICA_URL] })
 * const db = knex({ client: knexClient(pool), pool: { min: 0, max: 50 } })
 */
export function knexClient(pool: PoolWithDriver): typeof Knex.Client {
  const { driver } = (pool ?? {}) as { readonly driver?: { readonly Client?: unknown } }
  if (typeof driver?.Client !== 'function') throw notAPool()
  class PrimaryReplicaClient extends PostgresClient {
    constructor(config: Knex.Config) {
      // Without a `connection`, Knex makes no pool and only builds texts. Beside a pool of the user's own, it refuses a
      // `connection`.
      const needsNone = config.connection !== undefined || 'connectionPool' in config
      super(needsNone ? config : { ...config, connection: {} })
    }

    _driver(): object {
      return pool.driver
    }
  }
  return PrimaryReplicaClient as unknown as typeof Knex.Client
}

function notAPool(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    '`knexClient()` takes the pool itself: `const pool = new PrimaryReplicaPool({ primary, replicas })`, and then `knex({ client: knexClient(pool) })`.',
  )
}
