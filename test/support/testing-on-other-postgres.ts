import {
  type PostgresCluster,
  type PostgresClusterOptions,
  startPostgresCluster as startCluster,
} from '../../src/testing/index.ts'
import { postgresBin } from './postgres-version.ts'

export * from '../../src/testing/index.ts'

/** What the tests import as `write-pinning/testing` where `POSTGRES_BIN` is set: clusters of that PostgreSQL. */
export function startPostgresCluster(options: PostgresClusterOptions = {}): Promise<PostgresCluster> {
  return startCluster({ binDirectory: postgresBin, ...options })
}
