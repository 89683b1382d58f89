/** The options of the plugin and of the middleware. */
export const PINNING_OPTIONS = [
  ...(['pinningSeconds', 'pin', 'pinOn', 'readMethods', 'cookie', 'secret', 'badSignature', 'skip'] as const),
  ...(['header', 'cacheControl', 'monotonicReads', 'affinity', 'pinStore', 'account'] as const),
]

/** The options of the dialect. */
export const DIALECT_OPTIONS = [
  ...(['primary', 'replicas', 'name', 'withoutContext', 'primaryTables', 'unpinnedTables'] as const),
  ...(['primaryFunctions', 'replicaFunctions', 'enforceReadOnly'] as const),
  ...(['choose', 'maxLagMs', 'maxLagBytes', 'lagSource', 'whenNoReplica'] as const),
  ...(['probeIntervalMs', 'probeTimeoutMs', 'connectTimeoutMs', 'readTimeoutMs'] as const),
  ...(['catchUpMs', 'failover', 'lookup'] as const),
  ...(['cursor', 'controlClient', 'onCreateConnection', 'onReserveConnection'] as const),
]
