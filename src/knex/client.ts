import type { Knex } from 'knex'
import PostgresClient from 'knex/lib/dialects/postgres/index.js'
import { WritePinningError } from '../errors.ts'

/** A `PrimaryReplicaPool`, of which only the driver is needed. */
export interface PoolWithDriver {
  readonly driver: object
}

/**
 * Knex's own PostgreSQL client over a `PrimaryReplicaPool`: its reads go to the replicas, whatever else it sends to the primary. It needs no
 * `connection`, and all else of its configuration means what it does without it.
 *
 * Knex keeps a pool of clients, which hold no connection while they are idle. Its default of 10 is for one server: allow as many as all
 * nodes' pools have together. `knex.destroy()` ends that pool, and `pool.end()` the connections.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` where it is given something else than a `PrimaryReplicaPool`.
 * @example
 * const pool = new PrimaryReplicaPool({ primary: process.env.DATABASE_URL, replicas: [process.env.DATABASE_REPLICA_URL] })
 * const db = knex({ client: knexClient(pool), pool: { min: 0, max: 50 } })
 */
export function knexClient(pool: PoolWithDriver): typeof Knex.Client {
  const { driver } = (pool ?? {}) as { readonly driver?: { readonly Client?: unknown } }
  if (typeof driver?.Client !== 'function') throw notAPool()
  class PrimaryReplicaClient extends PostgresClient {
    constructor(config: Knex.Config) {
      // Without a connection Knex makes no pool, and takes it for a builder of texts; beside a pool of its user's it refuses one.
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
