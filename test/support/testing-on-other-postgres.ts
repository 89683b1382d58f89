import {
  type PostgresCluster,
  type PostgresClusterOptions,
  startPostgresCluster as startCluster,
} from '../../src/testing/index.ts'
import { postgresBin } from './postgres-version.ts'

export * from '../../src/testing/index.ts'

/**
 * The module that the tests import as `write-pinning/testing` if `POSTGRES_BIN` is set: it starts clusters of that
 * PostgreSQL.
 */
export function startPostgresCluster(options: PostgresClusterOptions = {}): Promise<PostgresCluster> {
  return startCluster({ binDirectory: postgresBin, ...options })
}
