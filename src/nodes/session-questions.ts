import { type Lsn, parseLsn, withoutPageHeader } from '../lsn.ts'
import type { AnswerRow, Told } from './asked-query.ts'
import type { CommitKind } from './exact-positions.ts'

/**
 * What a server is asked on the session of a statement, together with it (see `asked-query.ts`). None of these ever fails, also
 * where a replica was promoted or a primary demoted meanwhile: then there is no position.
 */

/** How far a replica has replayed, and at which isolation level its session is. */
export const REPLICA_QUESTION = `
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end::text as position,
    current_setting('transaction_isolation') as isolation`

/**
 * How the transaction of a statement will commit, by what is set once that has run: also by a trigger of its, or a function that it
 * calls, of which its text says nothing.
 */
export const COMMIT_QUESTION = "select current_setting('synchronous_commit') as commits"

/**
 * How far a primary has got, on which timeline: what a statement has seen there was inserted by then, though perhaps not flushed. And
 * whether its transaction has written, which gives it an id
 * (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT), and how that will commit.
 */
export const PRIMARY_QUESTION = `
  select case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end::text as inserted,
    case when not pg_is_in_recovery() then substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end as timeline,
    pg_size_bytes(current_setting('wal_segment_size'))::text as "segmentSize",
    pg_current_xact_id_if_assigned() is not null as wrote,
    current_setting('synchronous_commit') as commits`

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

/** How the transaction of the statement before commits; undefined where nobody has told. */
export function toldCommitKind(told: Told | undefined): CommitKind | undefined {
  if (told === undefined || told.question === REPLICA_QUESTION) return undefined
  const setting = told.question === COMMIT_QUESTION ? told.answer[0] : told.answer[4]
  if (typeof setting !== 'string') return undefined
  return setting === 'off' ? 'unflushed' : 'flushed'
}
