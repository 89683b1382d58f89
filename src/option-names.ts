// The names of all options, in one place. So an option that was given to the wrong owner gets an error that says whose
// it is.

/** The options of the plugin and of the middleware. */
export const PINNING_OPTIONS = [
  ...(['pinningSeconds', 'pin', 'pinOn', 'readMethods', 'cookie', 'secret', 'badSignature', 'skip'] as const),
  ...(['header', 'cacheControl', 'monotonicReads', 'affinity', 'pinStore', 'account'] as const),
]

/** The options of everything that routes statements to a primary and its replicas: the pool and the dialect. */
export const CLUSTER_OPTIONS = [
  ...(['primary', 'replicas', 'name', 'withoutContext', 'primaryTables', 'unpinnedTables'] as const),
  ...(['primaryFunctions', 'replicaFunctions', 'enforceReadOnly', 'mode', 'replicaShare'] as const),
  ...(['choose', 'maxLagMs', 'maxLagBytes', 'lagSource', 'whenNoReplica'] as const),
  ...(['probeIntervalMs', 'probeTimeoutMs', 'connectTimeoutMs', 'readTimeoutMs'] as const),
  ...(['catchUpMs', 'failover', 'lookup'] as const),
]

/** The options that only the dialect has, as Kysely's own dialect has them; `controlClient` from Kysely 0.29 on. */
export const KYSELY_OPTIONS = [
  'cursor',
  'controlClient',
  'onCreateConnection',
  'onReserveConnection',
] as const

/** For errors: who has which options. A user may give an option of one to the other by mistake. */
export const OWNED_BY_PLUGIN = { owner: '`writePinning`', names: PINNING_OPTIONS }
export const OWNED_BY_CLUSTER = {
  owner: '`PrimaryReplicaPool` (and of `PrimaryReplicaDialect`)',
  names: [...CLUSTER_OPTIONS, ...KYSELY_OPTIONS],
}
