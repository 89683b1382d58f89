import type { ServerResponse } from 'node:http'
import type { PinReason } from '../diagnostics.ts'
import type { MemorySettings, WriteKind } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import type { Requirement } from '../freshness/requirement.ts'
import type { BegunBy, RouteName } from './begun-pin.ts'
import type { RequestAccount } from './request-account.ts'
import type { RequestPolicy, RouteMarks } from './route-marks.ts'

/** What is known of a request when it begins. */
export interface RequestStart {
  /** The marks of its route; undefined if they are not known yet. */
  readonly marks: RouteMarks | undefined
  readonly policy: RequestPolicy
  readonly pinningMs: number
  readonly brought: Brought
  /** The requirement of the route's `readFrom`. */
  readonly readFrom: Requirement | undefined
  /** False for a skipped request, which sets no pin. */
  readonly mayPin: boolean
  /** Whether the method may bring a body. Such a body must not stay in memory longer than its request. */
  readonly mayHaveBody: boolean
  /** The framework's request, for the owner. */
  readonly request: unknown
  /** Whether the router has found a route for the request so far. */
  hasRoute(): boolean
  readonly response: ServerResponse
  /** Gives the key that keeps its reads on one replica. Asked until it gives one. */
  readonly affinityKey: (() => string | undefined) | undefined
  /** Which positions its memory must remember, and how it reads and writes tokens. */
  readonly memory: MemorySettings
  readonly account: RequestAccount | undefined
}

/** What the client of a request brought. */
export interface Brought {
  readonly pin: Pin | undefined
  readonly by: 'cookie' | 'header'
  /** Pins that claim more time than this process honours, unchanged. The response hands them on. */
  readonly tooLongLived: Pin | undefined
  /** Until when a pin in doubt sends the request's reads to the primary; 0 for none. */
  readonly doubtUntilMs: number
}

export const NOTHING_BROUGHT: Brought = {
  pin: undefined,
  by: 'header',
  tooLongLived: undefined,
  doubtUntilMs: 0,
}

/** A request whose response is about to leave. */
export interface LeavingRequest<Request = unknown> {
  /** The framework's request. */
  readonly request: Request
  readonly response: ServerResponse
  /** Read only if there is a warning to give. */
  readonly routeName: RouteName
}

/**
 * The plugin or middleware that a request came through, as the request sees it. {@link Pinning} makes one such object
 * for all its requests, because an object for each request would cost time.
 */
export interface RequestOwner extends BegunBy {
  /**
   * Called once, when the headers of a response that pins are about to leave. Gives the pin that the response then
   * carries.
   */
  setPin(leaving: LeavingRequest, reason: PinReason, pin: Pin): Pin
  /**
   * Called once, when the headers of a response that does not pin by itself are about to leave. It may carry pins of
   * others, and they must not replace the pin that the request brought.
   */
  joinPins(leaving: LeavingRequest, brought: Pin | undefined): void
  /** Reports an error of ours. It must not fail a response that is about to leave. */
  failed(leaving: LeavingRequest, error: unknown): void
  /**
   * Gives the listener for writes after the headers. It outlives the request, so it must not keep a reference to it.
   */
  lateWrites(leaving: LeavingRequest): (kind: WriteKind) => void
  routeOf(request: unknown): RouteName
  policyOf(method: string, marks: RouteMarks): RequestPolicy
  readFromOf(marks: RouteMarks): Requirement | undefined
}
