import { CompiledQuery, type Kysely, sql } from 'kysely'
import pg from 'pg'
import type { PostgresCluster } from 'write-pinning/testing'
import { type Database, openDatabase, poolOf } from './cluster.ts'

/** A database whose commits are not flushed, and how it writes. */
export interface Committing {
  readonly db: Kysely<Database>
  write(name: string): Promise<unknown>
}

/**
 * Ways to open a database whose writes are committed asynchronously, as an application or an operator may set it up.
 */
export const ASYNCHRONOUSLY: Readonly<Record<string, (cluster: PostgresCluster) => Promise<Committing>>> = {
  'the role': async (cluster) => {
    await cluster.primary.query('create role by_role login')
    await cluster.primary.query('grant all on all tables in schema public to by_role')
    await cluster.primary.query('grant all on all sequences in schema public to by_role')
    await cluster.primary.query('alter role by_role set synchronous_commit = off')
    return inserting(openDatabase(cluster, { primary: stringFor(cluster, 'by_role', 'test') }))
  },
  'a hook of the pool': async (cluster) => {
    const pool = poolOf(cluster.primary)
    pool.on('connect', (client) => client.query('set synchronous_commit = off'))
    return inserting(openDatabase(cluster, { primary: pool }))
  },
  'a hook that runs at each use': async (cluster) => {
    let uses = 0
    return inserting(
      openDatabase(cluster, {
        onReserveConnection: async (connection) => {
          // The setting of the first uses says nothing about later uses.
          const value = uses++ < 10 ? 'on' : 'off'
          await connection.executeQuery(CompiledQuery.raw(`set synchronous_commit = ${value}`))
        },
      }),
    )
  },
  'a `set` in the session': async (cluster) => {
    const db = openDatabase(cluster)
    return onConnection(db, (on) => sql`set synchronous_commit = off`.execute(on))
  },
  'a `set_config` whose values are parameters': async (cluster) => {
    const db = openDatabase(cluster)
    return onConnection(db, (on) =>
      sql`select set_config(${'synchronous_commit'}, ${'off'}, false)`.execute(on),
    )
  },
  'a `set local` in the transaction': async (cluster) => {
    const db = openDatabase(cluster)
    return {
      db,
      write: (name) =>
        db.transaction().execute(async (trx) => {
          await trx.insertInto('item').values({ name }).execute()
          await sql`set local synchronous_commit = off`.execute(trx)
        }),
    }
  },
  'the connection string': async (cluster) =>
    inserting(
      openDatabase(cluster, {
        primary: new pg.Pool({
          connectionString: cluster.primary.connectionString,
          options: '-c synchronous_commit=off',
        }),
      }),
    ),
}

function inserting(db: Kysely<Database>): Committing {
  return { db, write: (name) => db.insertInto('item').values({ name }).execute() }
}

/** Each write first sets what it needs, on a connection that others have used before. */
function onConnection(db: Kysely<Database>, set: (on: Kysely<Database>) => Promise<unknown>): Committing {
  return {
    db,
    write: (name) =>
      db.connection().execute(async (on) => {
        await set(on)
        await on.insertInto('item').values({ name }).execute()
        await sql`reset synchronous_commit`.execute(on)
      }),
  }
}

export function stringFor(cluster: PostgresCluster, role: string, database: string): string {
  const { host, port } = cluster.primary
  return `postgres://${role}@${host}:${port}/${database}`
}
