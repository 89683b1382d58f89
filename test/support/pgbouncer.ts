import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { freePort } from '../../src/testing/free-port.ts'
import { acceptsLogins } from './accepts-logins.ts'
import { Daemon } from './daemon.ts'
import type { Target } from './proxy-link.ts'

/** A PgBouncer in front of one node. */
export interface PgBouncer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** For `pg`, like the node's own: the database `test`, without a password. */
  readonly connectionString: string
  /** For `pg`: PgBouncer's own console (`show pools`, `pause`, `kill`). It knows only the simple protocol. */
  readonly consoleString: string
  stop(): Promise<void>
}

/**
 * Starts Debian's PgBouncer in front of a node, in transaction mode: a server connection belongs to one client for
 * one transaction, and may belong to another for the next.
 * @example
 * await using bouncer = await startPgBouncer(cluster.primary, { default_pool_size: 1 })
 * const pool = new pg.Pool({ connectionString: bouncer.connectionString })
 */
export async function startPgBouncer(
  node: Target,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const daemon = new Daemon('pgbouncer')
  const port = await freePort()
  const own = { listen_addr: '127.0.0.1', listen_port: port, unix_socket_dir: '', pool_mode: 'transaction' }
  const users = path.join(daemon.directory, 'users.txt')
  writeFileSync(users, '"postgres" ""\n')
  const access = { auth_type: 'trust', auth_file: users, admin_users: 'postgres' }
  const lines = Object.entries({ ...own, ...access, max_client_conn: 500, ...settings }).map(
    ([name, value]) => `${name} = ${value}`,
  )
  const file = path.join(daemon.directory, 'pgbouncer.ini')
  const databases = `[databases]\n* = host=${node.host} port=${node.port}`
  writeFileSync(file, `${databases}\n[pgbouncer]\n${lines.join('\n')}\n`)

  const stringFor = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`
  await daemon.start([file], () => acceptsLogins(stringFor('pgbouncer')))
  const stop = () => daemon.stop()
  return {
    host: '127.0.0.1',
    port,
    connectionString: stringFor('test'),
    consoleString: stringFor('pgbouncer'),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
