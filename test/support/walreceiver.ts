import { vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'

/**
 * Cuts a replica off its primary, until the function that this resolves with is called. The replica's receiver ends
 * and finds no primary. The replica itself still answers.
 * @example
 * const restore = await cutReceiver(replica)
 * await restore()
 */
export async function cutReceiver(replica: PostgresNode): Promise<() => Promise<void>> {
  const [{ before } = { before: '' }] = await replica.query<{ before: string }>(
    "select current_setting('primary_conninfo') as before",
  )
  // The last of two ports counts. Nobody listens on port 1 of the loopback.
  await setPrimary(replica, `'${before.replaceAll("'", "''")} port=1'`)
  await vi.waitFor(async () => {
    if (await isReceiving(replica)) throw new Error(`the receiver of ${replica.name} goes on`)
  }, WAIT)
  return async () => {
    await setPrimary(replica, 'default')
    await vi.waitFor(async () => {
      if (!(await isReceiving(replica))) throw new Error(`${replica.name} does not receive again`)
    }, WAIT)
  }
}

/**
 * Stops a replica's receiver (SIGSTOP). Its connection stays open, and the replica reports that it is streaming.
 * Resolves with the function that lets it go on.
 */
export async function freezeReceiver(replica: PostgresNode): Promise<() => void> {
  const [receiver] = await replica.query<{ pid: number }>(
    "select pid from pg_stat_activity where backend_type = 'walreceiver'",
  )
  if (receiver === undefined) throw new Error(`${replica.name} has no receiver`)
  process.kill(receiver.pid, 'SIGSTOP')
  return () => process.kill(receiver.pid, 'SIGCONT')
}

/** Makes a replica follow another primary. Whether it can depends on what it has replayed. */
export async function follow(replica: PostgresNode, leader: PostgresNode): Promise<void> {
  const [row] = await replica.query<{ slot: string }>("select current_setting('primary_slot_name') as slot")
  await leader.query('select pg_create_physical_replication_slot($1, true)', [row?.slot])
  await replica.query(
    `alter system set primary_conninfo to 'host=${leader.host} port=${leader.port} user=postgres'`,
  )
  await replica.query('select pg_reload_conf()')
}

const WAIT = { timeout: 10_000, interval: 10 }

async function setPrimary(replica: PostgresNode, value: string): Promise<void> {
  await replica.query(`alter system set primary_conninfo to ${value}`)
  await replica.query('select pg_reload_conf()')
}

async function isReceiving(replica: PostgresNode): Promise<boolean> {
  const rows = await replica.query("select 1 from pg_stat_wal_receiver where status = 'streaming'")
  return rows.length > 0
}
