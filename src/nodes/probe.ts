import { type Lsn, parseLsn } from '../lsn.ts'
import { askOn } from '../own-statements.ts'
import { type Moment, momentNow } from './lag.ts'
import type { OwnClient } from './node-pool.ts'
import { SYSTEM_ID, timelineOf } from './position-questions.ts'
import { withinRunningTime } from './running-time.ts'

/**
 * Where a replica's lag is read.
 *
 * - `'wal'`: from the positions at which the primary was seen
 * - `'aurora'`: from `aurora_replica_status()`
 * - a function: it gives the lag in ms, and may ask the replica itself
 */
export type LagSource = 'wal' | 'aurora' | LagFunction

/**
 * Gives a replica's lag in ms. Undefined means that it is unknown, and then the replica serves no reads. An error, or
 * an answer that takes longer than half of `probeTimeoutMs`, means the same.
 *
 * @example
 * const lagSource: LagFunction = async ({ query }) => {
 *   const sql = 'select 1000 * extract(epoch from clock_timestamp() - max(beat_at))::float8 as "lagMs" from heartbeat'
 *   const [row] = await query<{ lagMs: number }>(sql)
 *   return row?.lagMs
 * }
 */
export type LagFunction = (replica: {
  readonly name: string
  /** Asks the replica, over the connection of its watcher. */
  query<Row = Record<string, unknown>>(sql: string): Promise<Row[]>
}) => number | undefined | Promise<number | undefined>

/** What a node's server said of itself in answer to a probe. */
export interface Sighting extends Moment {
  /** When its answer came, by `performance.now()`. */
  readonly answeredAtMs: number
  readonly isInRecovery: boolean
  /** How far a primary has flushed, or a replica has replayed; undefined if it does not say. */
  readonly position: Lsn | undefined
  /** The timeline of a primary is right at once. That of a replica may be too old, but never too new. */
  readonly timeline: number | undefined
  readonly systemId: string | undefined
  /** The oid of the database that the connection is to. */
  readonly databaseOid: string | undefined
  readonly startedAt: string | undefined
  /** Whether its sessions are read-only by their setting, even if the server is not. */
  readonly isReadOnly: boolean
  /** Whether its database user may ask if the transaction has written. */
  readonly tellsWrites: boolean
  /** Whether its database user may see the timeline that a replica receives. */
  readonly seesReceiver: boolean | undefined
  /**
   * Whether its sessions are the server's own. A pooler in between gives its clients process ids of its own making,
   * and may have another connection serve each statement.
   */
  readonly isDirect: boolean
  /** The lag by a source other than positions, in ms. */
  readonly lagMs: number | undefined
}

/** Asks a server whether it is in recovery, and for its position or lag. */
export type Probe = (client: OwnClient, node: string) => Promise<Sighting>

/** The probe for a lag source. */
export function probeOf(source: LagSource, timeoutMs: number): Probe {
  if (source === 'wal') return probeWal
  if (source === 'aurora') return probeAurora
  return (client, node) => probeWith(source, client, node, timeoutMs)
}

// The oid of a database is the same on a primary and its physical replicas. It is not read from `pg_database`, which
// some hosting providers hide.
const SESSION = `pg_catalog.current_setting('default_transaction_read_only') operator(pg_catalog.=) 'on' as "isReadOnly",
    (select datid::pg_catalog.text from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())) as "databaseOid",
    pg_catalog.has_function_privilege(
      pg_catalog.to_regprocedure('pg_catalog.pg_current_xact_id_if_assigned()'), 'execute') is true as "tellsWrites"`

// Every part works for any database user, on PostgreSQL 13 and later
// (https://www.postgresql.org/docs/current/functions-info.html, "Control Data Functions"). Only members of
// pg_read_all_stats see a replica's timeline at once.
const WAL_QUERY = `
  select recovery as "isInRecovery",
    case when recovery then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_flush_lsn()
    end::pg_catalog.text as position,
    case when recovery
      then greatest(
        (select timeline_id from pg_catalog.pg_control_checkpoint()),
        (select min_recovery_end_timeline from pg_catalog.pg_control_recovery()),
        (select received_tli from pg_catalog.pg_stat_wal_receiver))
      else ${timelineOf('pg_catalog.pg_current_wal_flush_lsn()')}
    end as timeline,
    ${SYSTEM_ID} as "systemId",
    pg_catalog.pg_postmaster_start_time()::pg_catalog.text as "startedAt",
    ${SESSION},
    pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as "seesReceiver",
    pg_catalog.pg_backend_pid() as pid
  from (select pg_catalog.pg_is_in_recovery() as recovery) as server`

interface WalRow {
  readonly isInRecovery: boolean
  readonly position: string | null
  readonly timeline: number | null
  readonly systemId: string | null
  readonly startedAt: string | null
  readonly isReadOnly: boolean
  readonly databaseOid: string | null
  readonly tellsWrites: boolean
  readonly seesReceiver: boolean
  readonly pid: number
}

async function probeWal(client: OwnClient): Promise<Sighting> {
  const asked = momentNow()
  const [row] = await askOn<WalRow>(client, WAL_QUERY)
  if (row === undefined) throw new Error('The server gave no answer about its position.')
  return {
    ...asked,
    answeredAtMs: performance.now(),
    isInRecovery: row.isInRecovery,
    position: parseLsn(row.position),
    timeline: row.timeline ?? undefined,
    systemId: row.systemId ?? undefined,
    startedAt: row.startedAt ?? undefined,
    isReadOnly: row.isReadOnly,
    tellsWrites: row.tellsWrites,
    databaseOid: row.databaseOid ?? undefined,
    seesReceiver: row.seesReceiver,
    isDirect: row.pid === client.processID,
    lagMs: undefined,
  }
}

const STATE = `pg_catalog.pg_is_in_recovery() as "isInRecovery", ${SESSION}, pg_catalog.pg_backend_pid() as pid`

interface StateRow {
  readonly isInRecovery: boolean
  readonly isReadOnly: boolean
  readonly databaseOid: string | null
  readonly tellsWrites: boolean
  readonly pid: number
}

/** See https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora_replica_status.html */
const AURORA_QUERY = `
  select ${STATE},
    (select pg_catalog.max(replica_lag_in_msec) from pg_catalog.aurora_replica_status()
     where server_id operator(pg_catalog.=) pg_catalog.aurora_db_instance_identifier())::pg_catalog.float8 as "lagMs"`

async function probeAurora(client: OwnClient): Promise<Sighting> {
  const asked = momentNow()
  const [row] = await askOn<StateRow & { lagMs: number | null }>(client, AURORA_QUERY)
  return sightingOf(asked, row, client, row?.lagMs ?? undefined)
}

async function probeWith(
  source: LagFunction,
  client: OwnClient,
  name: string,
  timeoutMs: number,
): Promise<Sighting> {
  const asked = momentNow()
  const [row] = await askOn<StateRow>(client, `select ${STATE}`)
  // The application's own parsers apply to what its function asks.
  const query = async <Row>(sql: string) => (await client.query<Row>(sql)).rows
  if (row?.isInRecovery !== true) return sightingOf(asked, row, client, 0)
  // A function that fails or takes too long says nothing of the server, which has just answered.
  const given = Promise.resolve().then(() => source({ name, query }))
  const lagMs = await withinRunningTime(given, timeoutMs / 2).catch(() => undefined)
  return sightingOf(asked, row, client, lagMs)
}

function sightingOf(
  asked: Moment,
  row: StateRow | undefined,
  { processID }: OwnClient,
  lagMs: unknown,
): Sighting {
  const isNumber = typeof lagMs === 'number' && Number.isFinite(lagMs) && lagMs >= 0
  return {
    ...asked,
    answeredAtMs: performance.now(),
    isInRecovery: row?.isInRecovery === true,
    isReadOnly: row?.isReadOnly === true,
    tellsWrites: row?.tellsWrites === true,
    databaseOid: row?.databaseOid ?? undefined,
    position: undefined,
    timeline: undefined,
    systemId: undefined,
    startedAt: undefined,
    seesReceiver: undefined,
    isDirect: row !== undefined && row.pid === processID,
    lagMs: isNumber ? lagMs : undefined,
  }
}
