/**
 * Functions that PostgreSQL declares volatile, but whose results any node may give: they write nothing, lock nothing, and
 * leave nothing in the session. What is about one server (its sizes, its replay) is asked of whichever node is read.
 */
export const HARMLESS_FUNCTIONS: ReadonlySet<string> = new Set(
  `
  array_sample array_shuffle clock_timestamp current_query gen_random_uuid pg_available_wal_summaries pg_blocking_pids
  pg_collation_actual_version pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_database_size
  pg_get_backend_memory_contexts pg_get_wal_replay_pause_state pg_hba_file_rules pg_ident_file_mappings pg_indexes_size
  pg_is_in_recovery pg_is_wal_replay_paused pg_jit_available pg_last_wal_receive_lsn pg_last_wal_replay_lsn
  pg_last_xact_replay_timestamp pg_lock_status pg_partition_ancestors pg_partition_tree
  pg_relation_size pg_safe_snapshot_blocking_pids pg_show_all_file_settings pg_sleep pg_sleep_for pg_sleep_until
  pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch
  pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
  pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
  pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
  pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
  pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_table_size pg_tablespace_size pg_total_relation_size random
  random_normal timeofday uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_bytes gen_salt
  system bernoulli system_rows system_time
  normal_rand pg_buffercache_numa_pages pg_buffercache_pages pg_buffercache_summary pg_buffercache_usage_counts
  pg_current_logfile pg_database_collation_actual_version pg_get_aios pg_get_loaded_modules pg_get_multixact_members
  pg_get_sequence_data pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_get_wait_events
  pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_last_committed_xact pg_relpages
  pg_sequence_last_value pg_show_replication_origin_status pg_stat_statements pg_stat_statements_info
  pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pgp_pub_encrypt pgp_pub_encrypt_bytea pgp_sym_encrypt
  pgp_sym_encrypt_bytea pgstatginindex pgstathashindex pgstatindex pgstattuple pgstattuple_approx
`
    .trim()
    .split(/\s+/),
)

/**
 * Functions that leave something in the session, or that only a primary answers, and that write nothing: the connection
 * stays on the primary after them. Some a replica answers without an error, and wrongly: it does not list the transactions that are
 * under way or prepared, and has no queue of notifications. What became of a transaction is asked where its commit was lost: a replica
 * may not have heard of it.
 */
export const SESSION_FUNCTIONS: ReadonlySet<string> = new Set(
  `
  set_config setseed pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
  pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock
  pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_export_snapshot currval lastval
  pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_walfile_name pg_walfile_name_offset
  pg_current_snapshot txid_current_snapshot pg_prepared_xact pg_xact_status txid_status pg_notification_queue_usage
`
    .trim()
    .split(/\s+/),
)

/** Functions that PostgreSQL declares stable, and that a hot standby refuses with 25006. */
export const REFUSED_FUNCTIONS: ReadonlySet<string> = new Set([
  'txid_current',
  'pg_current_xact_id',
  'pg_replication_origin_oid',
])
