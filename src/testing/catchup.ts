import { clusterError } from './cluster-error.ts'
import type { PostgresNode } from './node.ts'
import { until } from './until.ts'

const CATCHUP_MS = 30_000

/** Resolves when every running, unpaused replica has replayed what the primary had written at the call. */
export async function waitForCatchup(
  primary: PostgresNode,
  replicas: readonly PostgresNode[],
): Promise<void> {
  const written = await writtenUpTo(primary)
  await Promise.all(
    replicas.map(async (replica) => {
      let seen = 'none'
      await until(
        async () => {
          if (!replica.isRunning) return true
          const [row] = await replica.control<{ position: string | null; done: boolean }>(
            `select pg_last_wal_replay_lsn() as position,
               not pg_is_in_recovery() or coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) or
               case when pg_is_in_recovery() then pg_is_wal_replay_paused() end as done`,
            [written],
          )
          seen = row?.position ?? seen
          return row?.done === true
        },
        CATCHUP_MS,
        () =>
          `${replica.name} has replayed up to ${seen}, and not the primary's ${written} within ${CATCHUP_MS} ms`,
      )
    }),
  )
}

/** A position that replicas will reach by themselves, at or after everything that the primary has written so far. */
async function writtenUpTo(primary: PostgresNode): Promise<string> {
  if (!primary.isRunning) throw clusterError('waitForCatchup: the primary does not run')
  // The insert position may stand behind a page header (24 or 40 bytes) that is not written yet, and then no replica
  // reaches it. WAL that no commit has flushed (synchronous_commit=off) may take long to be sent; a commit flushes it.
  const [position] = await primary.control<{ flushed: string; isAll: boolean }>(
    `select flushed, inserted - flushed <= case when (flushed - '0/0') % 8192 = 0 then 40 else 0 end as "isAll"
       from (select pg_current_wal_flush_lsn() as flushed, pg_current_wal_insert_lsn() as inserted) as wal`,
  )
  if (position?.isAll) return position.flushed
  await primary.control("select pg_logical_emit_message(true, 'write-pinning', '')")
  return primary.lsn()
}
