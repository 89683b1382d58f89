import type pg from 'pg'
import { expect } from 'vitest'
import { PrimaryReplicaPool, type PrimaryReplicaPoolOptions } from 'write-pinning/pg'
import { APPLICATION } from '../clients/client.ts'
import type { UsedCluster } from './shop.ts'

/**
 * Opens a pool over the cluster, and waits until all nodes are fit. The pool ends by itself. `config` goes to each
 * node's pool.
 */
export type OpenPool = (
  config?: pg.PoolConfig,
  options?: Partial<PrimaryReplicaPoolOptions>,
) => Promise<PrimaryReplicaPool>

/** @example const openPool = openingPools(useShop()) */
export function openingPools({ cluster, atEnd }: Pick<UsedCluster, 'cluster' | 'atEnd'>): OpenPool {
  return async (config, options) => {
    const at = ({ connectionString }: { connectionString: string }): pg.PoolConfig => ({
      connectionString,
      application_name: APPLICATION,
      ...config,
    })
    const pool = new PrimaryReplicaPool({
      primary: at(cluster.primary),
      replicas: cluster.replicas.map(at),
      ...options,
    })
    atEnd(() => (pool.ending ? undefined : pool.end()))
    await pool.ready()
    await expect.poll(() => pool.status().nodes.every(({ isFit }) => isFit)).toBe(true)
    return pool
  }
}

/** How many connections of each node are in use. */
export function busyOf(pool: PrimaryReplicaPool): number[] {
  return pool.status().nodes.map(({ busy }) => busy)
}
