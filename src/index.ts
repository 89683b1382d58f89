export {
  IGNORED_PIN_CHANNEL,
  type IgnoredPinEvent,
  type IgnoredPinReason,
  LATE_WRITE_CHANNEL,
  type LateWriteEvent,
  PIN_CHANNEL,
  type PinEvent,
  type PinReason,
  ROUTE_CHANNEL,
  type RouteEvent,
  type RouteReason,
} from './diagnostics.ts'
export { WritePinningError, type WritePinningErrorCode } from './errors.ts'
export { dbWrite } from './pinning/db-write.ts'
export {
  markWrite,
  type NodeScope,
  type Scope,
  useNode,
  usePrimary,
  useReplica,
  withoutPin,
} from './routing/scopes.ts'
