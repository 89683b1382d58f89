export {
  IGNORED_PIN_CHANNEL,
  type IgnoredPinEvent,
  type IgnoredPinReason,
  LATE_WRITE_CHANNEL,
  type LateWriteEvent,
  NODE_CHANNEL,
  type NodeChange,
  type NodeEvent,
  PIN_CHANNEL,
  type PinEvent,
  type PinReason,
  ROUTE_CHANNEL,
  type RouteEvent,
  type RouteReason,
} from './diagnostics.ts'
export { WritePinningError, type WritePinningErrorCode } from './errors.ts'
export { type CapturePinOptions, capturePin } from './pinning/capture-pin.ts'
export { dbWrite } from './pinning/db-write.ts'
export { type MemoryPinStoreOptions, memoryPinStore } from './pinning/memory-pin-store.ts'
export { type PinAccountOptions, pinAccount } from './pinning/pin-account.ts'
export type { PinStore } from './pinning/pin-store.ts'
export {
  type IoredisClientLike,
  type RedisClientLike,
  type RedisPinStoreOptions,
  redisPinStore,
} from './pinning/redis-pin-store.ts'
export { type RunWithPinOptions, runWithPin } from './pinning/run-with-pin.ts'
export { bindContext } from './routing/bind-context.ts'
export { mergePins } from './routing/merge-pins.ts'
export type { ClusterPin, ExactPin, Pin, TimePin } from './routing/pin.ts'
export type { Position } from './routing/position.ts'
export {
  markWrite,
  type NodeScope,
  type Scope,
  useNode,
  usePrimary,
  useReplica,
  withoutPin,
} from './routing/scopes.ts'
