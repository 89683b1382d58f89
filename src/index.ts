// The entry `write-pinning`: the scopes, pins by hand, events and errors. It needs no framework and no database client.
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
export { mergePins } from './freshness/merge-pins.ts'
export type { ClusterPin, ExactPin, Pin, TimePin } from './freshness/pin.ts'
export type { Position } from './freshness/position.ts'
export {
  bindContext,
  markWrite,
  type NodeScope,
  type Scope,
  useNode,
  usePrimary,
  useReplica,
  withoutPin,
} from './freshness/scopes.ts'
export { type CapturePinOptions, capturePin } from './pinning/capture-pin.ts'
export { type PinAccountOptions, pinAccount } from './pinning/pin-account.ts'
export { dbWrite } from './pinning/route-marks.ts'
export { type RunWithPinOptions, runWithPin } from './pinning/run-with-pin.ts'
