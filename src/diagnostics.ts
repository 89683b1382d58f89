import { type Channel, channel } from 'node:diagnostics_channel'

/** Why a statement went where it went. */
export type RouteReason =
  | 'write' // the statement writes, or cannot be told from one that does
  | 'locking' // a read that locks rows: only the primary can do that
  | 'session' // the statement is about its session: a setting, a lock, a prepared statement
  | 'function' // the statement calls a function, or reads a view, that may do more than read
  | 'refused' // a replica refuses the statement, or what its client has set: the primary runs it
  | 'mark' // `toPrimary` or `toReplica`
  | 'or-primary' // `orPrimary`: a replica gave no row
  | 'transaction' // the statement is part of a transaction, which runs on one node
  | 'same-connection' // an earlier statement of this connection has moved to the primary
  | 'primary-table' // the statement reads one of `primaryTables`, an unlogged table or a sequence, also through a view; or it is a `copy`
  | 'read' // a read that nothing binds
  | 'pin' // the request has a pin: it brought one, or its account has one
  | 'bad-signature' // the request brought a pin whose signature is missing or wrong: the option `badSignature`
  | 'monotonic' // the node must have everything that an earlier read of this request has seen
  | 'write-request' // the request counts as a write: by its method, or by `dbWrite: true`
  | 'own-write' // this request has written before
  | 'read-from' // the route's `readFrom`
  | 'use-primary' // inside `usePrimary()`
  | 'use-replica' // inside `useReplica()`
  | 'use-node' // inside `useNode()`
  | 'no-context' // outside any request or scope: the option `withoutContext`
  | 'no-replica' // a replica would do, but none is fit, or the cluster has none
  | 'overflow' // no replica is fit, and the primary is full of such reads: the replica with the least lag serves
  | 'moved' // this read failed on another node
  | 'mode' // an operator sends reads to the primary: the option `mode`, or `setMode()`
  | 'share' // an operator sends this request's reads to the primary: the option `replicaShare`, or `setReplicaShare()`

/** One statement on its way to a node. Published just before it is sent. */
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
  | 'account' // the pin store has it for its account
  | 'bad-signature' // the pin's signature is missing or wrong: the pin counts for this request's reads, and no response passes it on
  | 'method' // a method other than the read methods
  | 'db-write' // a route marked `dbWrite: true`
  | 'write' // the router saw a write
  | 'mark-write' // `markWrite()`
  | 'read' // the request's reads have seen something newer than its pin names: only with `monotonicReads`

/** A response that carries a pin. Published as its headers leave. */
export interface PinEvent {
  readonly reason: PinReason
  /** `'exact'`: it holds positions. `'time'`: everything is read from the primary. */
  readonly kind: 'time' | 'exact'
  readonly until: Date
}

/** A write after the headers of its response had left, so that no pin could be set for it. */
export interface LateWriteEvent {
  /** The method and the pattern of the route, as in `'GET /feed/:id'`. */
  readonly route: string
  readonly reason: 'write' | 'mark-write' | 'db-write'
}

/** Why a pin in a cookie or header was worth nothing, or less than it says. */
export type IgnoredPinReason =
  | 'malformed' // the value is no pin
  | 'expired' // the pin's time is over
  | 'too-far-ahead' // the pin is unsigned, and lasts longer than a pin of this process: it is cut to that length
  | 'bad-signature' // the pin's signature is missing or wrong: the option `badSignature`

/** A pin that was ignored, or cut short. Its value is never a part of the event. */
export interface IgnoredPinEvent {
  readonly reason: IgnoredPinReason
}

/** What happened to a node. */
export type NodeChange =
  | 'up' // the node answers (again)
  | 'down' // the node refuses connections, or stopped answering, and is ejected
  | 'fit' // the node serves reads (again)
  | 'unfit' // the node serves no reads: `because` says why
  | 'primary' // the node is the primary from now on
  | 'replica' // the node is no longer the primary

/** A change of one node. Published as it is noticed. */
export interface NodeEvent {
  readonly cluster: string
  readonly node: string
  readonly change: NodeChange
  /** Why, as one word or as a sentence; undefined if there is nothing to say. */
  readonly because: string | undefined
}

/**
 * The name of the `node:diagnostics_channel` that publishes a {@link NodeEvent} for each change of a node.
 *
 * @example
 * subscribe(NODE_CHANNEL, (message) => console.log((message as NodeEvent).change))
 */
export const NODE_CHANNEL = 'write-pinning:node'

/**
 * The name of the `node:diagnostics_channel` that publishes a {@link RouteEvent} for each statement.
 *
 * @example
 * subscribe(ROUTE_CHANNEL, (message) => console.log((message as RouteEvent).reason))
 */
export const ROUTE_CHANNEL = 'write-pinning:route'

/**
 * The name of the `node:diagnostics_channel` that publishes a {@link PinEvent} for each response that carries a pin.
 *
 * @example
 * subscribe(PIN_CHANNEL, (message) => console.log((message as PinEvent).until))
 */
export const PIN_CHANNEL = 'write-pinning:pin'

/**
 * The name of the `node:diagnostics_channel` that publishes an {@link IgnoredPinEvent} for each bad pin in a cookie
 * or header.
 *
 * @example
 * subscribe(IGNORED_PIN_CHANNEL, (message) => console.log((message as IgnoredPinEvent).reason))
 */
export const IGNORED_PIN_CHANNEL = 'write-pinning:ignored-pin'

/**
 * The name of the `node:diagnostics_channel` that publishes a {@link LateWriteEvent} for each write after the
 * headers.
 *
 * @example
 * subscribe(LATE_WRITE_CHANNEL, (message) => console.log((message as LateWriteEvent).route))
 */
export const LATE_WRITE_CHANNEL = 'write-pinning:late-write'

// A diagnostics channel is untyped. Here, and only here, each gets the type of its messages.
interface TypedChannel<Message> {
  readonly hasSubscribers: boolean
  publish(message: Message): void
}

export const routeChannel: TypedChannel<RouteEvent> = channel(ROUTE_CHANNEL) as Channel
export const nodeChannel: TypedChannel<NodeEvent> = channel(NODE_CHANNEL) as Channel
export const pinChannel: TypedChannel<PinEvent> = channel(PIN_CHANNEL) as Channel
export const ignoredPinChannel: TypedChannel<IgnoredPinEvent> = channel(IGNORED_PIN_CHANNEL) as Channel
export const lateWriteChannel: TypedChannel<LateWriteEvent> = channel(LATE_WRITE_CHANNEL) as Channel

/** Warns the operator by a Node.js process warning, so that `--trace-warnings` shows where it comes from. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'WritePinningWarning', code })
}
