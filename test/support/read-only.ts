import { type ControlledTransaction, type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, expect, vi } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { Database } from './cluster.ts'
import { inRequest, whenCatalogIsRead } from './request.ts'
import { routesOf } from './routes.ts'
import { type Shop, useShop } from './shop.ts'

/** The options that name what only the primary has. It also has the unlogged `counter`, and a partition of `part`. */
export const ON_PRIMARY = { primaryTables: ['listed'], primaryFunctions: ['named'] }

export const IS_REPLICA = 'select pg_is_in_recovery() as it'

/** Sends a text, with values or without. */
export type Send = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>

/** A shop for read-only transactions. */
export interface ReadOnlyShop {
  readonly shop: Shop
  /** A pool over the same cluster. */
  readonly pool: () => PrimaryReplicaPool
  /** Begins a read-only transaction in a request of its own, runs `work` in it, and rolls it back. */
  begun<T>(work: (trx: ControlledTransaction<Database>) => Promise<T>, db?: Kysely<Database>): Promise<T>
  /** The name of the node that serves this connection or transaction. */
  nodeOf(on: Kysely<Database>): Promise<string | undefined>
}

/** Starts a cluster with two replicas. Waits until a database and a pool on it know what only the primary has. */
export function useReadOnlyShop(): ReadOnlyShop {
  const shop = useShop({
    replicas: 2,
    sql: [
      `create unlogged table counter (id int); create table part (id int) partition by range (id);
       create unlogged table part_1 partition of part for values from (0) to (10)`,
      'create table listed (id int); create function named() returns int language sql stable as $$ select 1 $$',
      "insert into item (name) values ('first')",
    ],
    dialect: ON_PRIMARY,
  })
  let pool: PrimaryReplicaPool

  beforeAll(async () => {
    const [primary, ...replicas] = shop.cluster.nodes.map(({ connectionString }) => connectionString)
    pool = new PrimaryReplicaPool({ ...ON_PRIMARY, primary, replicas })
    await pool.ready()
    await inRequest(() => whenCatalogIsRead(shop.db))
    // The pool reads its own catalog.
    await vi.waitFor(
      async () =>
        expect(await rolesOf(() => inRequest(() => pool.query('select * from counter')))).toEqual([
          'primary',
        ]),
      { timeout: 20_000 },
    )
  })
  afterAll(() => pool.end())

  return {
    shop,
    pool: () => pool,
    begun: (work, db = shop.db) =>
      inRequest(async () => {
        const begin = db.startTransaction().setAccessMode('read only').setIsolationLevel('repeatable read')
        const trx = await begin.execute()
        try {
          return await work(trx)
        } finally {
          await trx.rollback().execute()
        }
      }),
    async nodeOf(on) {
      const [row] = await sendingBy(on)('select inet_server_port() as port')
      return shop.cluster.nodes.find(({ port }) => port === row?.port)?.name
    },
  }
}

export function sendingBy(on: Kysely<Database>): Send {
  return async (text) => (await sql.raw<Record<string, unknown>>(text).execute(on)).rows
}

export async function isOnReplica(on: Kysely<Database>): Promise<unknown> {
  return (await sendingBy(on)(IS_REPLICA))[0]?.it
}

/** The roles of the nodes to which `fn` sent statements. */
export async function rolesOf(fn: () => unknown): Promise<string[]> {
  return (await routesOf(fn)).map(({ role }) => role)
}
