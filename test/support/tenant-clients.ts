import knexOf from 'knex'
import { CompiledQuery, Kysely } from 'kysely'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { PrimaryReplicaPool, type PrimaryReplicaPoolOptions } from 'write-pinning/pg'
import { rawOf } from '../clients/knex.ts'
import { withResolvers } from './with-resolvers.ts'

export interface TenantRow {
  readonly tenant: string
  readonly who: string
}

/** One client. It sets a tenant once, and then sends statements of every kind. */
export interface TenantClient {
  /** Whether its connection is lost for good, so nothing more can be sent. */
  readonly isDead: boolean
  run(text: string, values?: readonly unknown[]): Promise<TenantRow[]>
  /** Reads some of the rows, a few at a time; undefined if the library cannot stream. */
  stream?(text: string): Promise<TenantRow[]>
  /** Sends a named statement, which the server keeps under that name. */
  named?(name: string, text: string): Promise<TenantRow[]>
  /** Sends a statement, and gives up on the client's side after this time. */
  hurried?(text: string, timeoutMs: number): Promise<TenantRow[]>
  close(): Promise<void>
}

export interface TenantClients extends AsyncDisposable {
  /** The ways to open a client, by name. */
  readonly kinds: Readonly<Record<string, () => Promise<TenantClient>>>
}

type Nodes = Pick<PrimaryReplicaPoolOptions, 'primary' | 'replicas'>

/**
 * Opens every kind of client over the same servers: clients of one pool, of Knex over that pool, and of Kysely over
 * its own pools.
 */
export async function openTenantClients(nodes: () => Nodes): Promise<TenantClients> {
  const options = { probeIntervalMs: 200, withoutContext: 'replica' } as const
  const pool = new PrimaryReplicaPool({ ...nodes(), ...options })
  pool.on('error', ignore)
  await pool.ready()
  const dialect = new PrimaryReplicaDialect({ ...nodes(), ...options, cursor: Cursor })
  const db = new Kysely<unknown>({ dialect })
  await dialect.ready()
  const log = { warn: ignore, error: ignore, deprecate: ignore, debug: ignore }
  const knex = knexOf({ client: knexClient(pool), pool: { min: 0, max: 100 }, log })
  return {
    kinds: {
      driver: () => openDriver(pool),
      lent: () => openLent(pool),
      Knex: () => openKnex(knex),
      Kysely: () => openKysely(db),
    },
    async [Symbol.asyncDispose]() {
      await knex.destroy()
      await db.destroy()
      await pool.end()
    },
  }
}

async function openDriver(pool: PrimaryReplicaPool): Promise<TenantClient> {
  const client = new pool.driver.Client()
  const of = tenantsOf(client, async () => void (await client.end()))
  await client.connect()
  return of
}

async function openLent(pool: PrimaryReplicaPool): Promise<TenantClient> {
  const client = await pool.connect()
  return tenantsOf(client as unknown as pg.Client, async () => client.release())
}

function tenantsOf(client: pg.Client, close: () => Promise<void>): TenantClient {
  let isDead = false
  client.on('error', ignore)
  const onEnd = () => {
    isDead = true
  }
  client.on('end', onEnd)
  const rowsOf = (result: pg.QueryResult | pg.QueryResult[]) =>
    ([result].flat().at(-1)?.rows ?? []) as TenantRow[]
  return {
    get isDead() {
      return isDead
    },
    run: async (text, values) => rowsOf(await client.query(text, values as unknown[])),
    async stream(text) {
      const cursor = client.query(new Cursor<TenantRow>(text))
      try {
        return [...(await cursor.read(2)), ...(await cursor.read(1))]
      } finally {
        await cursor.close()
      }
    },
    named: async (name, text) => rowsOf(await client.query({ name, text })),
    hurried: async (text, timeoutMs) =>
      rowsOf(await client.query({ text, query_timeout: timeoutMs } as pg.QueryConfig)),
    async close() {
      // Knex lends the same client again.
      client.off('error', ignore).off('end', onEnd)
      await close()
    },
  }
}

async function openKnex(db: ReturnType<typeof knexOf>): Promise<TenantClient> {
  const client = await db.client.acquireConnection()
  const it = tenantsOf(client, async () => {})
  const run: TenantClient['run'] = async (text, values) => {
    const result = await rawOf(db, text, values).connection(client)
    return [result].flat().at(-1)?.rows ?? []
  }
  return {
    get isDead() {
      return it.isDead
    },
    run,
    async close() {
      // Knex lends the client again, to another tenant.
      await run('discard all').catch(() => {
        client.__knex__disposed = true
      })
      await it.close()
      await db.client.releaseConnection(client)
    },
  }
}

async function openKysely(db: Kysely<unknown>): Promise<TenantClient> {
  const left = withResolvers<void>()
  let over: Promise<void> = Promise.resolve()
  const on = await new Promise<Kysely<unknown>>((resolve, reject) => {
    over = db.connection().execute(async (taken) => {
      resolve(taken)
      await left.promise
    })
    over.catch(reject)
  })
  return {
    isDead: false,
    run: async (text, values = []) =>
      (await on.executeQuery(CompiledQuery.raw(text, [...values]))).rows as TenantRow[],
    async stream(text) {
      const read: TenantRow[] = []
      const query = CompiledQuery.raw(text) as CompiledQuery<TenantRow>
      for await (const { rows } of on.getExecutor().stream<TenantRow>(query, 2)) {
        read.push(...rows)
        if (read.length > 2) break
      }
      return read
    },
    async close() {
      left.resolve()
      await over
    },
  }
}

function ignore(): void {}
