/** What a replica is asked on the session of a read. It never fails, also where the server was promoted. */
export const REPLICA_QUESTION = `
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end::text as position,
    current_setting('transaction_isolation') as isolation`
