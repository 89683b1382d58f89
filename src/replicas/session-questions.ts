/**
 * What a server is asked on the session of a statement, together with it (see `asked-query.ts`). None of these ever fails, also
 * where a replica was promoted or a primary demoted meanwhile: then there is no position.
 */

/** How far a replica has replayed, and at which isolation level its session is. */
export const REPLICA_QUESTION = `
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end::text as position,
    current_setting('transaction_isolation') as isolation`

/**
 * How far a primary has got, on which timeline: what a statement has seen there was inserted by then, though perhaps not flushed. And
 * whether its transaction has written, which gives it an id
 * (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT).
 */
export const PRIMARY_QUESTION = `
  select case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end::text as inserted,
    case when not pg_is_in_recovery() then substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end as timeline,
    pg_size_bytes(current_setting('wal_segment_size'))::text as "segmentSize",
    pg_current_xact_id_if_assigned() is not null as wrote`
