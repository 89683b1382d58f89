import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PinReason } from '../diagnostics.ts'
import type { RoutingContext } from '../freshness/context.ts'
import type { RequestMemory } from '../freshness/memory.ts'
import type { RouteMarks } from './route-marks.ts'

/** What a request knows of its pin at this moment; a write later in the request changes it. */
export interface WritePin {
  /** Whether the user agent carries a pin, one in doubt too, or will with this response. */
  readonly pinned: boolean
  /** Why; undefined where not pinned. */
  readonly reason: PinReason | undefined
  /** Until when, as it stands; undefined where not pinned. */
  readonly until: Date | undefined
}

/** The pin of a request that brought none and has not written. */
export const UNPINNED: WritePin = { pinned: false, reason: undefined, until: undefined }

/** The pin of a request as it stands, where no response has carried it yet. */
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

/** A pin that holds until then. */
export function pinnedUntil(untilMs: number, reason: PinReason): WritePin {
  return { pinned: true, reason, until: new Date(untilMs) }
}

/** A route of the application's, as a warning speaks of it. */
export interface RouteName {
  /** Tells it from others, where its name does not. */
  readonly key: unknown
  /** Its method and its pattern. */
  readonly name: string
}

/**
 * The pin of a request, as a second edge meets it: a Fastify application under Express, Express under `@fastify/express`, or
 * another copy of this package. The second edge goes on with it, so that there is one context and one cookie.
 */
export interface BegunPin {
  readonly context: RoutingContext
  readonly writePin: WritePin
  /** What the edges before have said of the route. */
  readonly marks: RouteMarks | undefined
  /** The plugin or middleware that has begun it, whose options count. */
  readonly begunBy: BegunBy
  /** Takes an edge that goes on with it. */
  join(edge: JoiningEdge): void
  /** Decides anew what the request is. */
  remark(method: string, marks: RouteMarks): void
  bringAccountPin(): Promise<void> | undefined
  beforeHeaders(): Promise<void> | undefined
}

/** A plugin or middleware, as another one meets it. */
export interface BegunBy {
  /** Whether it has the same options. */
  hasSettings(settings: object): boolean
}

/** What the edge that a request reaches later knows better than the first. */
export interface JoiningEdge {
  /** Whether its router found nothing; where no edge found anything, nothing pins. */
  reachedNoRoute(): boolean
  routeName(): RouteName
  /**
   * Whose the request is, where the first edge does not know; undefined where accounts are not pinned. Where somebody `isKnown` already, an
   * error says nothing.
   */
  readonly account: ((isKnown: boolean) => string | undefined) | undefined
}

/** The pin that was begun for a request already; undefined where this edge is the first. */
export function begunPinOf(request: IncomingMessage, response: ServerResponse): BegunPin | undefined {
  return (response as WithBegunPin)[BEGUN_PIN] ?? (request as WithBegunPin)[BEGUN_PIN]
}

/** Has an edge go on with a pin that another one has begun. */
export function joinPin(
  begun: BegunPin,
  response: ServerResponse,
  {
    hasRoute,
    ...edge
  }: Pick<JoiningEdge, 'routeName' | 'account'> & {
    /** Whether its router has found a route; asked for the last time as the headers leave. */
    hasRoute(): boolean
  },
): void {
  begun.join({ ...edge, reachedNoRoute: () => reachedNothing(hasRoute(), response) })
}

/**
 * Whether a request reached nothing. What no route answers may be answered by a middleware or a hook, as many a GraphQL server is, and Express under
 * `@fastify/express`: only a 404 reached nothing.
 */
export function reachedNothing(hasRoute: boolean, response: ServerResponse): boolean {
  return !hasRoute && response.statusCode === 404
}

/**
 * Where the pin is kept, on Node.js's own request and response, which all edges see. Two copies of this package find each
 * other's, so the version goes up with any change to {@link BegunPin}, or to the context in it.
 */
export const BEGUN_PIN: unique symbol = Symbol.for('write-pinning.begun-pin.v1') as never

interface WithBegunPin {
  readonly [BEGUN_PIN]?: BegunPin
}
