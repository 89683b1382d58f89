import knexOf, { type Knex } from 'knex'
import type pg from 'pg'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { PostgresCluster } from 'write-pinning/testing'
import { type Client, missing, nodesOf, type OpenClient, type Options, type Statements } from './client.ts'

export const knex: Client = {
  name: 'Knex',
  has: new Set(['connection', 'read only', 'stream', 'named', 'lend', 'lazy', 'late']),
  async open(cluster, options) {
    const { db, open } = openKnex(cluster, options)
    return { ...open, ...statements(db) }
  },
}

/** Knex over a pool, with all that is the same for what is built on Knex. */
export function openKnex(cluster: PostgresCluster, options?: Options) {
  const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
  // What is left in the session of an idle client is soon closed with it.
  const db = knexOf({
    client: knexClient(pool),
    pool: { min: 0, max: 50, idleTimeoutMillis: 50, reapIntervalMillis: 20 },
  })
  const withClient = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    const client = await db.client.acquireConnection()
    try {
      return await work(client)
    } finally {
      await db.client.releaseConnection(client)
    }
  }
  const open = {
    control: pool,
    transaction: (work) => db.transaction((trx) => work(statements(trx))),
    async close() {
      await db.destroy()
      await pool.end()
    },
    connection: (work) => withClient((client) => work(statements(db, client))),
    readOnlyTransaction: (work) => db.transaction((trx) => work(statements(trx)), { readOnly: true }),
    stream: (text) => db.raw(text).stream({ batchSize: 2 }),
    named: async (name) => await db('item').where({ name }).pluck('name').options({ name: 'items-by-name' }),
    lend: withClient,
    lazy: () => db('item').select('name').orderBy('id'),
    marked: missing,
  } satisfies Partial<OpenClient>
  return { db, open: open as Omit<OpenClient, keyof Statements> }
}

function statements(db: Knex, client?: pg.PoolClient): Statements {
  const on = <Q extends Knex.QueryBuilder | Knex.Raw>(query: Q): Q =>
    client === undefined ? query : (query.connection(client) as Q)
  return {
    // A builder is sent once it is awaited: here, and not wherever it is handed to.
    names: async () => await on(db('item').orderBy('id').pluck('name')),
    add: async (name) => await on(db('item').insert({ name })),
    rename: async (from, to) => await on(db('item').where({ name: from }).update({ name: to })),
    run: async (text, values) => (await on(rawOf(db, text, values))).rows,
  }
}

/** Its placeholders are question marks. */
export function rawOf(db: Knex, text: string, values: readonly unknown[] = []): Knex.Raw {
  const bindings: unknown[] = []
  const its = text.replaceAll('?', '\\?').replace(/\$(\d)/g, (_, at) => {
    bindings.push(values[Number(at) - 1])
    return '?'
  })
  return db.raw(its, bindings as never)
}
