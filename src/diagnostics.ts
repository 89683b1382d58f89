import { type Channel, channel } from 'node:diagnostics_channel'

/** Why a statement went where it went. */
export type RouteReason =
  | 'write' // it writes, or cannot be told from a write
  | 'locking' // a read that locks rows: only the primary can
  | 'session' // it is bound to the session: a setting, a lock, a prepared statement
  | 'function' // it calls a function, or reads a view, that may do more than read
  | 'refused' // a replica refused it, so it runs once more on the primary
  | 'mark' // `toPrimary` or `toReplica`
  | 'or-primary' // `orPrimary`: a replica gave no row
  | 'transaction' // it is part of a transaction, which runs on one node
  | 'same-connection' // an earlier statement of this connection had moved to the primary
  | 'primary-table' // it names one of `primaryTables`
  | 'read' // a read that nothing binds
  | 'pin' // the user agent carries a pin
  | 'write-request' // the request counts as a write: by its method, or by `dbWrite: true`
  | 'own-write' // this request has written before
  | 'read-from' // the route's `readFrom`
  | 'use-primary' // inside `usePrimary()`
  | 'use-replica' // inside `useReplica()`
  | 'use-node' // inside `useNode()`
  | 'no-context' // outside any request or scope: the option `withoutContext`
  | 'no-replica' // a replica would do, but the cluster has none

/** One statement on its way to a node; published just before it is sent. */
export interface RouteEvent {
  readonly cluster: string
  readonly node: string
  readonly role: 'primary' | 'replica'
  readonly reason: RouteReason
  /** Whether the statement counts as a write. */
  readonly write: boolean
  readonly sql: string
}

/** Why a pin was set; see `request.writePin`. */
export type PinReason =
  | 'cookie' // the user agent brought it
  | 'method' // a method other than the read methods
  | 'db-write' // a route marked `dbWrite: true`
  | 'write' // the router saw a write
  | 'mark-write' // `markWrite()`

/** A response that carries a pin, published as its headers leave. */
export interface PinEvent {
  readonly reason: PinReason
  readonly until: Date
}

/** A write after the headers of its response had left, which could not carry a pin for it any more. */
export interface LateWriteEvent {
  /** The method and the pattern of the route, as in `'GET /feed/:id'`. */
  readonly route: string
  readonly reason: Exclude<PinReason, 'cookie' | 'method'>
}

/** Why a pinning cookie was worth nothing. */
export type IgnoredPinReason = 'malformed' | 'expired' | 'too-far-ahead' | 'bad-signature'

/** A pinning cookie that was ignored; its value is never part of the event. */
export interface IgnoredPinEvent {
  readonly reason: IgnoredPinReason
}

/** The name of the `node:diagnostics_channel` that publishes a {@link RouteEvent} per statement. */
export const ROUTE_CHANNEL = 'write-pinning:route'

/** The name of the `node:diagnostics_channel` that publishes a {@link PinEvent} per response that pins. */
export const PIN_CHANNEL = 'write-pinning:pin'

/** The name of the `node:diagnostics_channel` that publishes an {@link IgnoredPinEvent} per bad cookie. */
export const IGNORED_PIN_CHANNEL = 'write-pinning:ignored-pin'

/** The name of the `node:diagnostics_channel` that publishes a {@link LateWriteEvent} per write after the headers. */
export const LATE_WRITE_CHANNEL = 'write-pinning:late-write'

// A diagnostics channel is untyped; here, and only here, each gets the type of its message.
interface TypedChannel<Message> {
  readonly hasSubscribers: boolean
  publish(message: Message): void
}

export const routeChannel: TypedChannel<RouteEvent> = channel(ROUTE_CHANNEL) as Channel
export const pinChannel: TypedChannel<PinEvent> = channel(PIN_CHANNEL) as Channel
export const ignoredPinChannel: TypedChannel<IgnoredPinEvent> = channel(IGNORED_PIN_CHANNEL) as Channel
export const lateWriteChannel: TypedChannel<LateWriteEvent> = channel(LATE_WRITE_CHANNEL) as Channel

/** Tells the operator something once, by a Node.js process warning that `--trace-warnings` can locate. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'WritePinningWarning', code })
}
