import { type Lsn, parseLsn, withoutPageHeader } from '../lsn.ts'
import type { AnswerRow, Told } from './asked-query.ts'

/**
 * All that servers are asked about positions. What is asked on the session of a statement, together with it (`*_QUESTION`, see
 * `asked-query.ts`), never fails, also where a replica was promoted or a primary demoted meanwhile: then there is no position.
 */

/** How a session's commits are made: with `synchronous_commit = off` they return before their WAL is flushed. */
export type CommitKind = 'flushed' | 'unflushed'

/** How far a replica has replayed, and at which isolation level its session is. */
export const REPLICA_QUESTION = `
  select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() end::pg_catalog.text as position,
    pg_catalog.current_setting('transaction_isolation') as isolation`

/**
 * How the transaction of a statement will commit, by what is set once that has run: also by a trigger of its, or a function that it
 * calls, of which its text says nothing.
 */
export const COMMIT_QUESTION = "select pg_catalog.current_setting('synchronous_commit') as commits"

/**
 * Whether the transaction has written, which gives it an id, and how it will commit: asked right after a single statement that may have
 * written, and right before the COMMIT of a transaction in which that is not known. A sequence that is advanced, a lock, a setting and a
 * NOTIFY give no id; a lock of rows and a temporary table give one.
 *
 * A `begin read only` and a `commit` around the statement, in the same message, cost as much (see `bench/README.md`), and would catch a
 * sequence too. But they refuse what writes, so that it has to run once more; and what handles that error by itself gives another answer.
 */
export const WROTE_QUESTION = `
  select pg_catalog.pg_current_xact_id_if_assigned() is not null as wrote,
    pg_catalog.current_setting('synchronous_commit') as commits`

/**
 * How far a primary has got, on which timeline: what a statement has seen there was inserted by then, though perhaps not flushed. And
 * whether its transaction has written, which gives it an id
 * (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT), and how that will commit.
 */
export const PRIMARY_QUESTION = `
  select case when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_wal_insert_lsn() end::pg_catalog.text as inserted,
    case when not pg_catalog.pg_is_in_recovery() then
      pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) end as timeline,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::pg_catalog.text as "segmentSize",
    pg_catalog.pg_current_xact_id_if_assigned() is not null as wrote,
    pg_catalog.current_setting('synchronous_commit') as commits`

/** What a primary says of its position, and of the statement before. */
export interface PrimaryAnswer {
  readonly lsn: Lsn
  readonly timeline: number
  readonly hasWritten: boolean
}

/** Reads an answer to {@link PRIMARY_QUESTION}; undefined where the server is none, or was asked something else. */
export function primaryAnswer([inserted, timeline, segmentSize, wrote]: AnswerRow):
  | PrimaryAnswer
  | undefined {
  const lsn = segmentSize === undefined ? undefined : parseLsn(inserted)
  if (lsn === undefined || timeline === null || timeline === undefined) return undefined
  return {
    lsn: withoutPageHeader(lsn, Number(segmentSize)),
    timeline: Number.parseInt(timeline, 16),
    hasWritten: wrote === 't',
  }
}

/** Whether the transaction has written; undefined where nobody has told. */
export function toldWhetherWritten(told: Told | undefined): boolean | undefined {
  if (told?.question === WROTE_QUESTION) return told.answer[0] === 't'
  return told?.question === PRIMARY_QUESTION ? primaryAnswer(told.answer)?.hasWritten : undefined
}

/** Whether an answer tells how far the server has got. */
export function tellsPosition({ question }: Told): boolean {
  return question === REPLICA_QUESTION || question === PRIMARY_QUESTION
}

/** How the transaction of the statement before commits; undefined where nobody has told. */
export function toldCommitKind(told: Told | undefined): CommitKind | undefined {
  if (told === undefined || told.question === REPLICA_QUESTION) return undefined
  const setting = told.answer[COMMITS_AT.get(told.question) ?? -1]
  if (typeof setting !== 'string') return undefined
  return setting === 'off' ? 'unflushed' : 'flushed'
}

/** The timeline that a primary writes at a position. */
export const timelineOf = (position: string) =>
  `('x' operator(pg_catalog.||) pg_catalog.substr(pg_catalog.pg_walfile_name(${position}), 1, 8))::bit(32)::int`

/** Which cluster a server is of. */
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
 * How far a primary has got, over a connection of its own. A server in recovery refuses it, and then there is no position. The view
 * `pg_settings` would make it ten times as slow.
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

/** How far a replica has got, over a connection of its own. */
export const REPLAYED_QUERY = `
  select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text end as position,
    pg_catalog.pg_postmaster_start_time()::pg_catalog.text as "startedAt"`
