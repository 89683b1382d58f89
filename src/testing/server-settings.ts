/** The value of a setting in postgresql.conf. */
export type SettingValue = string | number | boolean

/** Settings of postgresql.conf, by their names. */
export type Settings = Readonly<Record<string, SettingValue>>

/** The settings that every node of a test cluster starts with. The caller's settings come after them and win. */
export function defaultSettings(majorVersion: number): Settings {
  return {
    // The data do not outlive the test, so they need not reach the disk. A killed server still loses nothing.
    fsync: false,
    full_page_writes: false,
    wal_init_zero: false,
    shared_buffers: '16MB',
    max_connections: 100,
    wal_level: 'replica',
    max_wal_senders: 20,
    max_replication_slots: 20,
    hot_standby: true,
    hot_standby_feedback: false,
    wal_retrieve_retry_interval: '100ms',
    // In the data directory, so that a killed server leaves nothing in /dev/shm.
    dynamic_shared_memory_type: 'mmap',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    jit: false,
    ...(majorVersion >= 18 && { io_method: 'sync' }),
  }
}

/** The text of a postgresql.conf. */
export function configurationFile(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${quoted(value)}\n`)
    .join('')
}

function quoted(value: SettingValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return `'${String(value).replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
