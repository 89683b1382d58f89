import type pg from 'pg'
import QueryStream from 'pg-query-stream'
import { orPrimary, PrimaryReplicaPool, toPrimary, toReplica } from 'write-pinning/pg'
import { type Ability, type Client, missing, nodesOf, type Statements } from './client.ts'

const MARKS = { toPrimary, toReplica, orPrimary }

export const plainPg = plainPgBy('pg', [], (pool) => pool)

/** The same with a pool of its own, of clients that are routed. */
export const plainPgByDriver = plainPgBy(
  'pg by driver',
  ['late'],
  // What is left in the session of an idle client is soon closed with it.
  (pool) => new pool.driver.Pool({ max: 50, idleTimeoutMillis: 50 }),
)

function plainPgBy(
  name: string,
  abilities: readonly Ability[],
  by: (pool: PrimaryReplicaPool) => pg.Pool,
): Client {
  return {
    name,
    has: new Set<Ability>(['connection', 'read only', 'stream', 'named', 'mark', 'lend', ...abilities]),
    async open(cluster, options) {
      const control = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
      const pool = by(control)
      return {
        ...statements(pool),
        control,
        transaction: (work) => inTransaction(pool, 'begin', work),
        async close() {
          if (pool !== control) await pool.end()
          await control.end()
        },
        connection: (work) => withClient(pool, (client) => work(statements(client))),
        readOnlyTransaction: (work) => inTransaction(pool, 'begin read only', work),
        async *stream(text) {
          const client = await pool.connect()
          try {
            yield* client.query(new QueryStream(text, [], { batchSize: 2 }))
          } finally {
            client.release()
          }
        },
        async named(name) {
          const query = {
            name: 'items-by-name',
            text: 'select name from item where name = $1',
            values: [name],
          }
          return (await pool.query<{ name: string }>(query)).rows.map((item) => item.name)
        },
        marked: async (mark, text) => (await pool.query(MARKS[mark](text))).rows,
        lend: (work) => withClient(pool, work),
        lazy: missing,
      }
    },
  }
}

function statements(on: pg.Pool | pg.ClientBase): Statements {
  return {
    async names() {
      const { rows } = await on.query<{ name: string }>('select name from item order by id')
      return rows.map(({ name }) => name)
    },
    add: (name) => on.query('insert into item (name) values ($1)', [name]),
    async rename(from, to) {
      const { rowCount } = await on.query('update item set name = $2 where name = $1', [from, to])
      return rowCount ?? 0
    },
    run: async (text, values) => (await on.query(text, values && [...values])).rows,
  }
}

async function withClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    return await work(client)
  } finally {
    client.release()
  }
}

/** As the pages of `pg` do it. */
function inTransaction<T>(
  pool: pg.Pool,
  begin: string,
  work: (inside: Statements) => Promise<T>,
): Promise<T> {
  return withClient(pool, async (client) => {
    try {
      await client.query(begin)
      const result = await work(statements(client))
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback')
      throw error
    }
  })
}
