import { LazyConnection, NOT_SERIALIZABLE } from './lazy-connection.ts'
import type { Server } from './server.ts'
import { until } from './until.ts'

const CATCHUP_MS = 30_000

/** Whether a server follows a primary. */
export async function isReplica(server: Server): Promise<boolean> {
  const [row] = await server.ask<{ is: boolean }>('select pg_catalog.pg_is_in_recovery() as is')
  return row?.is === true
}

/** Whether a pause that was asked for holds, so that nothing more is applied. */
export async function isReplayPaused(server: Server): Promise<boolean> {
  // Before PostgreSQL 14, a replica can only say that a pause was asked for.
  const state =
    server.setup.majorVersion < 14
      ? "case when pg_catalog.pg_is_wal_replay_paused() then 'paused' end"
      : 'pg_catalog.pg_get_wal_replay_pause_state()'
  const [row] = await server.ask<{ state: string; event: string | null }>(
    `select ${state} as state, wait_event as event from pg_catalog.pg_stat_activity
     where backend_type operator(pg_catalog.=) 'startup'`,
  )
  // While replay waits for the delay of a commit, it cannot say that it is paused. But it checks again before it
  // applies that commit.
  return row?.state === 'paused' || (row?.state === 'pause requested' && row.event === 'RecoveryApplyDelay')
}

/**
 * Whether the processes of a server have taken an apply delay. This asks over a new connection: its process started
 * after all others were told.
 */
export async function hasApplyDelay({ setup }: Server, applyDelayMs: number): Promise<boolean> {
  const session = new LazyConnection({
    host: setup.host,
    port: setup.port,
    database: 'postgres',
    isOwn: true,
    options: NOT_SERIALIZABLE,
  })
  try {
    const [row] = await session.ask<{ setting: string }>(
      `select setting from pg_catalog.pg_settings where name operator(pg_catalog.=) 'recovery_min_apply_delay'`,
    )
    return row?.setting === String(applyDelayMs)
  } finally {
    await session.close()
  }
}

/** Resolves when every replica that runs and is not paused has replayed what the primary has written by now. */
export async function waitForCatchup(primary: Server, replicas: readonly Server[]): Promise<void> {
  const written = await writtenUpTo(primary)
  await Promise.all(replicas.map((replica) => waitUntilReplayed(replica, written)))
}

async function waitUntilReplayed(replica: Server, written: string): Promise<void> {
  let position = 'nothing'
  let delayMs = 0
  const hasReplayed = async () => {
    const [row] = await replica.ask<{ position: string | null; delayMs: number; isDone: boolean | null }>(
      `select pg_catalog.pg_last_wal_replay_lsn() as position,
         (select setting::int from pg_catalog.pg_settings
          where name operator(pg_catalog.=) 'recovery_min_apply_delay') as "delayMs",
         case when not pg_catalog.pg_is_in_recovery() then true
              else pg_catalog.pg_is_wal_replay_paused()
                or (pg_catalog.pg_last_wal_replay_lsn() operator(pg_catalog.>=) $1::pg_catalog.pg_lsn) end as "isDone"`,
      [written],
    )
    position = row?.position ?? position
    delayMs = row?.delayMs ?? delayMs
    return row?.isDone === true
  }
  await until(
    // The replica may be stopped, frozen or killed in the meantime. Then this waits no longer.
    async () => !replica.isRunning || (await hasReplayed().catch(() => !replica.isRunning)),
    () => CATCHUP_MS + delayMs,
    () =>
      `${replica.setup.name} has replayed ${position}, and not ${written}, after ${CATCHUP_MS + delayMs} ms`,
  )
}

/** A position that replicas will reach by themselves, at or after everything that the primary has written by now. */
async function writtenUpTo(primary: Server): Promise<string> {
  primary.mustRun('waitForCatchup')
  // The insert position may be past a page header (24 or 40 bytes) that is not written yet. No replica reaches that,
  // so the flushed position is taken. WAL that no commit has flushed (synchronous_commit=off) may take long to be
  // sent, so a commit of our own flushes it.
  const flushed = `select flushed,
      (inserted operator(pg_catalog.-) flushed) operator(pg_catalog.<=)
        case when ((flushed operator(pg_catalog.-) '0/0') operator(pg_catalog.%) 8192) operator(pg_catalog.=) 0 then 40 else 0
        end as "isAll"
    from (select pg_catalog.pg_current_wal_flush_lsn() as flushed,
            pg_catalog.pg_current_wal_insert_lsn() as inserted) as wal`
  const [now] = await primary.ask<{ flushed: string; isAll: boolean }>(flushed)
  if (now?.isAll) return now.flushed
  await primary.ask("select pg_catalog.pg_logical_emit_message(true, 'write-pinning', '')")
  const [then] = await primary.ask<{ flushed: string }>(flushed)
  return then?.flushed ?? ''
}
