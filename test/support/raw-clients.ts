import { type Kysely, sql } from 'kysely'
import { expect, vi } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { Database } from './cluster.ts'
import { heldBy, pinOfToken, SECRET } from './exact.ts'
import { whenCatalogIsRead } from './request.ts'
import type { Shop } from './shop.ts'

/** Sends a text, and gives its rows. */
export type Run = (text: string) => Promise<readonly unknown[]>

/** A client of any library that sends texts as they are. */
export interface RawClient {
  readonly run: Run
  /** Runs `work` on one connection. */
  readonly onOne: (work: (run: Run) => Promise<unknown>) => Promise<void>
}

export function rawKysely(db: () => Kysely<Database>): RawClient {
  const running =
    (on: Kysely<Database>): Run =>
    async (text) =>
      (await sql.raw(text).execute(on)).rows
  return {
    run: (text) => running(db())(text),
    onOne: async (work) => {
      await db()
        .connection()
        .execute((on) => work(running(on)))
    },
  }
}

export function rawPool(pool: () => PrimaryReplicaPool): RawClient {
  return {
    run: async (text) => (await pool().query(text)).rows,
    onOne: async (work) => {
      const client = await pool().connect()
      try {
        await work(async (text) => (await client.query(text)).rows)
      } finally {
        client.release()
      }
    },
  }
}

/** Both clients with their names, for `describe.each`. */
export function rawClients(
  db: () => Kysely<Database>,
  pool: () => PrimaryReplicaPool,
): readonly (readonly [string, RawClient])[] {
  return [
    ['Kysely', rawKysely(db)],
    ['a pool', rawPool(pool)],
  ]
}

/** Each kind of pin, and what it holds after a write. */
export const PINS = [
  ['time', 'primary'],
  ['exact', expect.any(BigInt)],
] as const

/** Runs texts in a transaction, and commits it. */
export function inTransaction(client: RawClient, ...texts: readonly string[]): Promise<void> {
  return client.onOne(async (run) => {
    for (const text of ['begin', ...texts]) await run(text)
    await run('commit')
  })
}

/** Runs `work` in a job, and gives the pin that it leaves; undefined if it leaves none. */
export async function pinAfter(
  pin: 'time' | 'exact',
  work: () => Promise<unknown>,
): Promise<string | undefined> {
  const settings = { secret: SECRET, pin }
  return await runWithPin(
    undefined,
    async () => {
      await work()
      return await capturePin()
    },
    settings,
  )
}

/** Runs `work` in a job, and gives what its pin holds. */
export async function heldAfter(pin: 'time' | 'exact', work: () => Promise<unknown>) {
  return heldBy(pinOfToken(await pinAfter(pin, work)))
}

/** Opens a pool beside the database of a shop. When this resolves, both have read their catalogs. */
export async function openBeside({ cluster, db, atEnd }: Shop): Promise<PrimaryReplicaPool> {
  const pool = new PrimaryReplicaPool({
    primary: cluster.primary.connectionString,
    replicas: cluster.replicas.map(({ connectionString }) => connectionString),
  })
  atEnd(() => pool.end())
  await pool.ready()
  await whenCatalogIsRead(db)
  // Until the pool has read its catalog, it takes no table for plain.
  const deleteNothing = () => pool.query('delete from public.item where id = -1')
  await vi.waitFor(async () => expect(await heldAfter('time', deleteNothing)).toBeUndefined(), {
    timeout: 20_000,
  })
  return pool
}
