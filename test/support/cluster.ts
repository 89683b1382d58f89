import { Kysely } from 'kysely'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import { type PostgresCluster, type PostgresNode, startPostgresCluster } from 'write-pinning/testing'

export interface Item {
  id: number
  name: string
}

export interface Database {
  item: { id: import('kysely').Generated<number>; name: string }
  session: { sid: string; data: string }
}

/** A cluster with the tables `item` and `session`, on every node. */
export async function startShop(replicas = 2): Promise<PostgresCluster> {
  const cluster = await startPostgresCluster({ replicas })
  await cluster.primary.query('create table item (id serial primary key, name text not null)')
  await cluster.primary.query('create table session (sid text primary key, data text not null)')
  await cluster.waitForCatchup()
  return cluster
}

/** A database on the cluster through the dialect under test. */
export function openDatabase(
  cluster: PostgresCluster,
  options: Partial<PrimaryReplicaDialectOptions> = {},
): Kysely<Database> {
  return new Kysely<Database>({
    dialect: new PrimaryReplicaDialect({
      primary: poolOf(cluster.primary),
      replicas: cluster.replicas.map(poolOf),
      cursor: Cursor,
      ...options,
    }),
  })
}

export function poolOf(node: PostgresNode): pg.Pool {
  return new pg.Pool({ connectionString: node.connectionString, max: 10 })
}
