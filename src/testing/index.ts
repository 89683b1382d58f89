/** The entry `write-pinning/testing`: real PostgreSQL servers for tests. */
export { type PostgresCluster, startPostgresCluster } from './cluster.ts'
export type { PostgresClusterOptions } from './cluster-options.ts'
export type { PostgresNode } from './node.ts'
export type { StopMode } from './server.ts'
export type { Settings, SettingValue } from './server-settings.ts'
