import { beforePageHeader, type Lsn, parseLsn } from '../lsn.ts'
import type { Answered, AnswerRow } from './asked-query.ts'

/**
 * Everything that servers are asked about positions. A `*_QUESTION` is asked together with a statement, on its
 * session (see `asked-query.ts`). It never fails: if a replica was promoted or a primary demoted meanwhile, the
 * answer has no position.
 */

/**
 * How a session commits. With `synchronous_commit = off` (`'unflushed'`), a commit returns before its WAL is flushed.
 */
export type CommitKind = 'flushed' | 'unflushed'

/** Asks how far a replica has replayed, and for the isolation level of its session. */
export const REPLICA_QUESTION = `
  select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() end::pg_catalog.text as position,
    pg_catalog.current_setting('transaction_isolation') as isolation`

/**
 * Asks how the transaction of a statement will commit. This comes after the statement, because a trigger or a function
 * that it calls may change the setting, and the text does not show that.
 */
export const COMMIT_QUESTION = "select pg_catalog.current_setting('synchronous_commit') as commits"

/**
 * Asks whether the transaction has written, which gives it an id, and how it will commit. This comes right after a
 * single statement that may have written, or right before the COMMIT of a transaction that may have. Advancing a
 * sequence, a lock, a setting and a NOTIFY give no id. A lock of rows and a temporary table give one.
 *
 * A `begin read only` and a `commit` around the statement, in the same message, cost as much (see `bench/README.md`),
 * and would notice a sequence too. But they refuse writes, so the statement would have to run once more. And a
 * function that catches that error by itself would give another result.
 */
export const WROTE_QUESTION = `
  select pg_catalog.pg_current_xact_id_if_assigned() is not null as wrote,
    pg_catalog.current_setting('synchronous_commit') as commits`

/**
 * How far a primary has written, and on which timeline. All that a statement has seen there was inserted by then,
 * though perhaps not flushed. Also whether its transaction has written, which gives it an id
 * (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT), and how it will commit.
 */
export const PRIMARY_QUESTION = `
  select case when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_wal_insert_lsn() end::pg_catalog.text as inserted,
    case when not pg_catalog.pg_is_in_recovery() then
      pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) end as timeline,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::pg_catalog.text as "segmentSize",
    pg_catalog.pg_current_xact_id_if_assigned() is not null as wrote,
    pg_catalog.current_setting('synchronous_commit') as commits`

/** What a primary says of its position, and of the statement that the question came after. */
export interface PrimaryAnswer {
  readonly lsn: Lsn
  readonly timeline: number
  readonly hasWritten: boolean
}

/**
 * Reads an answer to {@link PRIMARY_QUESTION}; undefined if the server is no primary, or if the question was another
 * one.
 */
export function primaryAnswer([inserted, timeline, segmentSize, wrote]: AnswerRow):
  | PrimaryAnswer
  | undefined {
  const lsn = segmentSize === undefined ? undefined : parseLsn(inserted)
  if (lsn === undefined || timeline === null || timeline === undefined) return undefined
  return {
    lsn: beforePageHeader(lsn, Number(segmentSize)),
    timeline: Number.parseInt(timeline, 16),
    hasWritten: wrote === 't',
  }
}

/** Whether the transaction has written; undefined if unknown. */
export function toldWhetherWritten(answered: Answered | undefined): boolean | undefined {
  if (answered?.question === WROTE_QUESTION) return answered.answer[0] === 't'
  return answered?.question === PRIMARY_QUESTION ? primaryAnswer(answered.answer)?.hasWritten : undefined
}

/** Whether an answer says how far the server has written or replayed. */
export function tellsPosition({ question }: Answered): boolean {
  return question === REPLICA_QUESTION || question === PRIMARY_QUESTION
}

/** How the statement's transaction commits; undefined if unknown. */
export function toldCommitKind(answered: Answered | undefined): CommitKind | undefined {
  if (answered === undefined || answered.question === REPLICA_QUESTION) return undefined
  const setting = answered.answer[COMMITS_AT.get(answered.question) ?? -1]
  if (typeof setting !== 'string') return undefined
  return setting === 'off' ? 'unflushed' : 'flushed'
}

/** SQL for the timeline on which a primary writes at a position. */
export const timelineOf = (position: string) =>
  `('x' operator(pg_catalog.||) pg_catalog.substr(pg_catalog.pg_walfile_name(${position}), 1, 8))::bit(32)::int`

/** SQL for the system identifier of a server's cluster. */
export const SYSTEM_ID = '(select system_identifier::pg_catalog.text from pg_catalog.pg_control_system())'

const COMMITS_AT: ReadonlyMap<string, number> = new Map([
  [COMMIT_QUESTION, 0],
  [WROTE_QUESTION, 1],
  [PRIMARY_QUESTION, 4],
])

/** An answer to {@link COMMITTED_QUERY}. */
export interface CommittedRow {
  readonly flushed: string
  readonly inserted: string
  readonly timeline: number
  readonly systemId: string
  readonly segmentSize: string
  readonly configuredAt: string
}

/**
 * How far a primary has written, asked over a connection outside the pool. A server in recovery refuses this, and then
 * there is no position. With the view `pg_settings` it would take ten times as long.
 */
export const COMMITTED_QUERY = `
  select pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text as inserted, flushed::pg_catalog.text as flushed,
    ${timelineOf('flushed')} as timeline,
    ${SYSTEM_ID} as "systemId",
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::pg_catalog.text as "segmentSize",
    pg_catalog.pg_conf_load_time()::pg_catalog.text as "configuredAt"
  from pg_catalog.pg_current_wal_flush_lsn() as flushed`

/** An answer to {@link REPLAYED_QUERY}. */
export interface ReplayedRow {
  readonly position: string | null
  readonly startedAt: string
}

/** How far a replica has replayed, asked over a connection outside the pool. */
export const REPLAYED_QUERY = `
  select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text end as position,
    pg_catalog.pg_postmaster_start_time()::pg_catalog.text as "startedAt"`
