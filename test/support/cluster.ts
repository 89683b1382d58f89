import { Kysely } from 'kysely'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import {
  type PostgresCluster,
  type PostgresClusterOptions,
  type PostgresNode,
  startPostgresCluster,
} from 'write-pinning/testing'

export interface Item {
  id: number
  name: string
}

export interface Database {
  item: { id: import('kysely').Generated<number>; name: string }
  session: { sid: string; data: string }
}

/** Starts a cluster with the tables `item` and `session` on every node. */
export async function startShop(
  replicas = 2,
  others: Omit<PostgresClusterOptions, 'replicas'> = {},
): Promise<PostgresCluster> {
  const cluster = await startPostgresCluster({ ...others, replicas })
  await cluster.primary.query('create table item (id serial primary key, name text not null)')
  await cluster.primary.query('create table session (sid text primary key, data text not null)')
  await cluster.waitForCatchup()
  return cluster
}

/** Opens a database on the cluster through the dialect under test. */
export function openDatabase(
  cluster: PostgresCluster,
  options: Partial<PrimaryReplicaDialectOptions> = {},
): Kysely<Database> {
  return databaseOf({
    primary: poolOf(cluster.primary),
    replicas: cluster.replicas.map(poolOf),
    ...options,
  })
}

/** Opens a database on any nodes. */
export function databaseOf(options: PrimaryReplicaDialectOptions): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PrimaryReplicaDialect({ cursor: Cursor, ...options }) })
}

export function readItems(on: Kysely<Database>): Promise<Item[]> {
  return on.selectFrom('item').selectAll().execute()
}

export function poolOf(node: PostgresNode): pg.Pool {
  return new pg.Pool({ connectionString: node.connectionString, max: 10 })
}
