import pg from 'pg'
import type { PostgresNode } from 'write-pinning/testing'

/** The clients that are connected to the server: those of one pool, or all but the test's own. */
export function clientsOf(
  node: PostgresNode,
  application?: string,
): Promise<{ pid: number; state: string; query: string }[]> {
  return node.query(
    `select pid, state, query from pg_stat_activity where backend_type = 'client backend'
     and application_name <> 'write-pinning/testing' and application_name = coalesce($1, application_name)`,
    [application ?? null],
  )
}

/** A pool whose connections `clientsOf()` can tell from others. */
export function namedPool(node: PostgresNode, application: string, config: pg.PoolConfig = {}): pg.Pool {
  return new pg.Pool({ connectionString: node.connectionString, application_name: application, ...config })
}

/**
 * Ends every client's backend on the node, waits until they have ended, and gives their number. A session that is
 * just beginning has no name yet, so it is left out.
 */
export async function terminateClients(node: PostgresNode): Promise<number> {
  const ended = await node.query(
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity
     where backend_type = 'client backend' and application_name <> '' and application_name not like 'write-pinning%'`,
  )
  return ended.length
}

/** How many clients of the pool are in use. */
export function inUse(pool: pg.Pool): number {
  return pool.totalCount - pool.idleCount
}
