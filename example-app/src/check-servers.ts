import { setTimeout as wait } from 'node:timers/promises'
import { useNode } from 'write-pinning'
import { nameServers, type Servers } from './database/servers.ts'
import type { ShopDatabase } from './database/shop-database.ts'
import { StartError } from './start-error.ts'

const UNDEFINED_TABLE = '42P01'
const PATIENCE_MS = 30_000

/**
 * Sends a statement to each server.
 *
 * @throws {StartError} for the first server that does not answer, named without its password.
 */
export async function checkServers(db: ShopDatabase, servers: Servers): Promise<void> {
  for (const { name, url } of nameServers(servers)) {
    try {
      await useNode(name, () => db.run('select 1'))
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException
      throw new StartError(`The database ${name} (${address(url)}) cannot be reached: ${message || code}`)
    }
  }
}

/**
 * Waits until each replica has replayed the migrations. A page that is read there earlier would find no table.
 *
 * @throws {StartError} for a replica that does not get there in time.
 */
export async function waitForMigrations(
  db: ShopDatabase,
  servers: Servers,
  signal: AbortSignal,
): Promise<void> {
  const [, ...replicas] = nameServers(servers)
  const deadline = Date.now() + PATIENCE_MS
  for (const { name } of replicas) {
    while (!(await hasProducts(db, name))) {
      if (Date.now() > deadline)
        throw new StartError(`${name} does not follow the primary: its tables are missing.`)
      await wait(100, undefined, { signal })
    }
  }
}

async function hasProducts(db: ShopDatabase, node: string): Promise<boolean> {
  try {
    return (await useNode(node, () => db.run('select id from products limit 1'))).length > 0
  } catch (error) {
    if ((error as { code?: string }).code === UNDEFINED_TABLE) return false
    throw error
  }
}

/** The part of a connection string that may be shown. */
export function address(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}
