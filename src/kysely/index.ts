export type { NodeInput, PoolInput } from '../replicas/node.ts'
export type { PoolClientLike, PoolLike } from '../replicas/pool.ts'
export { PrimaryReplicaDialect } from './dialect.ts'
export type { PrimaryReplicaDialectOptions } from './dialect-options.ts'
