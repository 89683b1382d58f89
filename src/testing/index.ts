export { type PostgresCluster, startPostgresCluster } from './cluster.ts'
export type { PostgresClusterOptions } from './cluster-options.ts'
export type { PostgresNode, StopMode } from './node.ts'
export type { Settings, SettingValue } from './server-settings.ts'
