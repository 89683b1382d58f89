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
  | 'primary-table' // it reads one of `primaryTables`, or an unlogged table, by whatever name
  | 'read' // a read that nothing binds
  | 'pin' // the user agent carries a pin
  | 'bad-signature' // it carries one whose signature is missing or wrong, which may be an honest one: the option `badSignature`
  | 'monotonic' // an earlier read of this request has seen as much
  | 'write-request' // the request counts as a write: by its method, or by `dbWrite: true`
  | 'own-write' // this request has written before
  | 'read-from' // the route's `readFrom`
  | 'use-primary' // inside `usePrimary()`
  | 'use-replica' // inside `useReplica()`
  | 'use-node' // inside `useNode()`
  | 'no-context' // outside any request or scope: the option `withoutContext`
  | 'no-replica' // a replica would do, but none is fit, or the cluster has none
  | 'overflow' // no replica is fit, and the primary serves as many of their reads as it may: the least late one serves
  | 'moved' // another node failed this read
  | 'mode' // an operator has the primary serve: the option `mode`, or `setMode()`
  | 'share' // an operator has the primary serve this request: the option `replicaShare`, or `setReplicaShare()`

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
  | 'header' // the client brought it in the header
  | 'account' // its account has it in the pin store
  | 'bad-signature' // it brought one whose signature is missing or wrong: it binds this request's reads, and no response carries it
  | 'method' // a method other than the read methods
  | 'db-write' // a route marked `dbWrite: true`
  | 'write' // the router saw a write
  | 'mark-write' // `markWrite()`
  | 'read' // its reads have seen more than it had brought: only with `monotonicReads`

/** A response that carries a pin, published as its headers leave. */
export interface PinEvent {
  readonly reason: PinReason
  /** `'exact'`: it holds positions; `'time'`: everything is read from the primary. */
  readonly kind: 'time' | 'exact'
  readonly until: Date
}

/** A write after the headers of its response had left, which could not carry a pin for it any more. */
export interface LateWriteEvent {
  /** The method and the pattern of the route, as in `'GET /feed/:id'`. */
  readonly route: string
  readonly reason: 'write' | 'mark-write' | 'db-write'
}

/** Why a pin that came in a cookie or header was worth nothing, or less than it says. */
export type IgnoredPinReason =
  | 'malformed' // it is no pin
  | 'expired' // it is over
  | 'too-far-ahead' // nobody signed it, and it claims to last longer than a pin does here: it counts, for as long as one does
  | 'bad-signature' // its signature is missing or wrong: the option `badSignature`

/** A pin that was ignored, or cut short; its value is never part of the event. */
export interface IgnoredPinEvent {
  readonly reason: IgnoredPinReason
}

/** What happened to a node. */
export type NodeChange =
  | 'up' // it answers (again)
  | 'down' // it refuses connections, or stopped answering, and is ejected
  | 'fit' // it serves reads (again)
  | 'unfit' // it serves no reads; `because` says why
  | 'primary' // it is the primary from now on
  | 'replica' // it is the primary no longer

/** A change of one node, published as it is noticed. */
export interface NodeEvent {
  readonly cluster: string
  readonly node: string
  readonly change: NodeChange
  /** Why, in a word or for a human; undefined where there is nothing to say. */
  readonly because: string | undefined
}

/** The name of the `node:diagnostics_channel` that publishes a {@link NodeEvent} per change of a node. */
export const NODE_CHANNEL = 'write-pinning:node'

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
export const nodeChannel: TypedChannel<NodeEvent> = channel(NODE_CHANNEL) as Channel
export const pinChannel: TypedChannel<PinEvent> = channel(PIN_CHANNEL) as Channel
export const ignoredPinChannel: TypedChannel<IgnoredPinEvent> = channel(IGNORED_PIN_CHANNEL) as Channel
export const lateWriteChannel: TypedChannel<LateWriteEvent> = channel(LATE_WRITE_CHANNEL) as Channel

/** Tells the operator something once, by a Node.js process warning that `--trace-warnings` can locate. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'WritePinningWarning', code })
}
