import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PinReason } from '../diagnostics.ts'
import type { RoutingContext } from '../freshness/context.ts'
import type { RequestMemory } from '../freshness/memory.ts'
import type { RouteMarks } from './route-marks.ts'

/**
 * The pin of a request at this moment, as an application sees it (`request.writePin`). A later write of the request
 * changes it.
 */
export interface WritePin {
  /**
   * Whether the user agent carries a pin (also one whose signature is missing or wrong), or will carry one after this
   * response.
   */
  readonly pinned: boolean
  /** Why it is pinned; undefined if it is not. */
  readonly reason: PinReason | undefined
  /** When the pin will be over, as far as is known now; undefined if there is none. */
  readonly until: Date | undefined
}

/** The pin of a request that brought none and has not written. */
export const UNPINNED: WritePin = { pinned: false, reason: undefined, until: undefined }

/** The pin of a request whose response has not set one. */
export function writePinOf(
  { carried, pinningMs, doubtUntilMs, freshUntilMs }: RequestMemory,
  reason: PinReason | undefined,
  carriedBy: PinReason,
): WritePin {
  const nowMs = Date.now()
  if (reason !== undefined) return pinnedUntil(Math.max(nowMs + pinningMs, carried?.untilMs ?? 0), reason)
  if (carried !== undefined && carried.untilMs > nowMs) return pinnedUntil(carried.untilMs, carriedBy)
  const boundUntilMs = Math.min(doubtUntilMs, freshUntilMs)
  return boundUntilMs > nowMs ? pinnedUntil(boundUntilMs, 'bad-signature') : UNPINNED
}

export function pinnedUntil(untilMs: number, reason: PinReason): WritePin {
  return { pinned: true, reason, until: new Date(untilMs) }
}

/** A route of the application, as warnings name it. */
export interface RouteName {
  /** Identifies the route. Two routes can have the same name. */
  readonly key: unknown
  /** The method and the pattern. */
  readonly name: string
}

/**
 * A request's pin, as a second edge sees it: a Fastify application under Express, Express under `@fastify/express`,
 * or another copy of this package. The second edge continues with this pin, so that there is one context and one
 * cookie.
 */
export interface BegunPin {
  readonly context: RoutingContext
  readonly writePin: WritePin
  /** The marks that earlier edges found for the route. */
  readonly marks: RouteMarks | undefined
  /** The plugin or middleware that began it. Its options count. */
  readonly begunBy: BegunBy
  /** Adds an edge that continues with this pin. */
  join(edge: JoiningEdge): void
  /** Decides again whether the request is a write, by its method and its marks. */
  remark(method: string, marks: RouteMarks): void
  bringAccountPin(): Promise<void> | undefined
  beforeHeaders(): Promise<void> | undefined
}

/** A plugin or middleware, as another one sees it. {@link Pinning} makes one for itself. */
export interface BegunBy {
  /** Whether its options equal these. */
  hasSettings(settings: object): boolean
}

/** A later edge of a request, as its pin sees it: what only this edge may know. */
export interface JoiningEdge {
  /** Whether its router found no route. If no edge found one, neither the method nor the marks pin. */
  reachedNoRoute(): boolean
  routeName(): RouteName
  /**
   * Gives the account of the request, if earlier edges do not know it; undefined if accounts are not pinned. With
   * `isKnown`, the account was found before, and an error is not reported.
   */
  readonly account: ((isKnown: boolean) => string | undefined) | undefined
}

/** The pin that an earlier edge began for a request; undefined if this edge is the first. */
export function begunPinOf(request: IncomingMessage, response: ServerResponse): BegunPin | undefined {
  return (response as WithBegunPin)[BEGUN_PIN] ?? (request as WithBegunPin)[BEGUN_PIN]
}

/** Continues with a pin that another edge began. */
export function joinPin(
  begun: BegunPin,
  response: ServerResponse,
  {
    hasRoute,
    ...edge
  }: Pick<JoiningEdge, 'routeName' | 'account'> & {
    /** Whether its router has found a route. Asked for the last time when the headers leave. */
    hasRoute(): boolean
  },
): void {
  begun.join({ ...edge, reachedNoRoute: () => reachedNothing(hasRoute(), response) })
}

/**
 * Whether nothing answered a request: it reached no route, and its status is 404. With another status, a middleware
 * or a hook has answered, as many GraphQL servers do, and Express under `@fastify/express`.
 */
export function reachedNothing(hasRoute: boolean, response: ServerResponse): boolean {
  return !hasRoute && response.statusCode === 404
}

/**
 * The key of the pin on Node.js's own request and response, which all edges see. Two copies of this package find each
 * other's pins. So raise the version with any change to {@link BegunPin}, or to the context in it.
 */
export const BEGUN_PIN: unique symbol = Symbol.for('write-pinning.begun-pin.v1') as never

interface WithBegunPin {
  readonly [BEGUN_PIN]?: BegunPin
}
