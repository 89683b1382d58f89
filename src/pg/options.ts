import type pg from 'pg'
import { isPool } from '../nodes/pool.ts'
import type { ClusterOptions } from '../routing/options.ts'

/** The options of {@link PrimaryReplicaPool}: those of the dialect, without Kysely's own. */
export interface PrimaryReplicaPoolOptions extends ClusterOptions {}

/** The primary's configuration, as far as it is known, for code that reads the pool's `options`. */
export function configOf(primary: unknown): pg.PoolConfig {
  if (typeof primary === 'string') return { connectionString: primary }
  if (typeof primary !== 'object' || primary === null) return {}
  if (isPool(primary)) return withPassword(primary.options ?? {})
  return 'pool' in primary ? configOf(primary.pool) : withPassword(primary)
}

/** In the options of a pool the password is not enumerable, so a copy would lack it. */
function withPassword(config: object): pg.PoolConfig {
  const { password } = config as pg.PoolConfig
  return password === undefined ? { ...config } : { ...config, password }
}
