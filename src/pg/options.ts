import type pg from 'pg'
import { isPool } from '../nodes/pool.ts'
import type { ClusterOptions } from '../routing/options.ts'

/** The options of {@link PrimaryReplicaPool}: those of the dialect, but for Kysely's own. */
export interface PrimaryReplicaPoolOptions extends ClusterOptions {}

/** What `pg` is told of the primary, so that its `options` are there for whoever looks. */
export function configOf(primary: unknown): pg.PoolConfig {
  if (typeof primary === 'string') return { connectionString: primary }
  if (typeof primary !== 'object' || primary === null) return {}
  if (isPool(primary)) return withPassword(primary.options ?? {})
  return 'pool' in primary ? configOf(primary.pool) : withPassword(primary)
}

/** In the options of a pool the password cannot be enumerated. */
function withPassword(config: object): pg.PoolConfig {
  const { password } = config as pg.PoolConfig
  return password === undefined ? { ...config } : { ...config, password }
}
