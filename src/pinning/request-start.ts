import type { ServerResponse } from 'node:http'
import type { PinReason } from '../diagnostics.ts'
import type { MemorySettings, WriteKind } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import type { Requirement } from '../freshness/requirement.ts'
import type { BegunBy, RouteName } from './begun-pin.ts'
import type { RequestAccount } from './request-account.ts'
import type { RequestPolicy, RouteMarks } from './route-marks.ts'

/** What is known of a request as it begins. */
export interface RequestStart {
  /** The marks of its route, where they are known already. */
  readonly marks: RouteMarks | undefined
  readonly policy: RequestPolicy
  readonly pinningMs: number
  readonly brought: Brought
  /** The requirement of the route's `readFrom`. */
  readonly readFrom: Requirement | undefined
  /** False for a skipped request, which sets no pin. */
  readonly mayPin: boolean
  /** Whether the method is one that brings a body, which must not be kept longer than its request. */
  readonly mayHaveBody: boolean
  /** The framework's own, for the owner. */
  readonly request: unknown
  /** Whether the router has found a route for the request, as far as that is known by now. */
  hasRoute(): boolean
  readonly response: ServerResponse
  /** Gives the key by which it keeps to one replica; asked until it gives one. */
  readonly affinityKey: (() => string | undefined) | undefined
  /** What is wanted of its memory. */
  readonly memory: MemorySettings
  readonly account: RequestAccount | undefined
}

/** What the client of a request brought. */
export interface Brought {
  readonly pin: Pin | undefined
  readonly by: 'cookie' | 'header'
  /** What is not believed for as long as it says, for the response to hand on. */
  readonly beyond: Pin | undefined
  /** Until when a doubtful pin sends the request's reads to the primary; 0 for none. */
  readonly doubtUntilMs: number
}

export const NOTHING_BROUGHT: Brought = { pin: undefined, by: 'header', beyond: undefined, doubtUntilMs: 0 }

/** A request whose response is about to leave. */
export interface LeavingRequest<Request = unknown> {
  /** The framework's own. */
  readonly request: Request
  readonly response: ServerResponse
  /** Asked for where there is a warning to give. */
  readonly routeName: RouteName
}

/** What requests ask of the plugin or middleware that they came through: one for all of them, as each object counts there. */
export interface RequestOwner extends BegunBy {
  /** Called once, as the headers of a response that pins are about to leave; gives what it carries then. */
  setPin(leaving: LeavingRequest, reason: PinReason, pin: Pin): Pin
  /** The same for one that does not pin by itself, and may carry pins of others, which must not take the place of what was brought. */
  joinPins(leaving: LeavingRequest, brought: Pin | undefined): void
  /** Tells that something of ours has failed, as a response that is about to leave must not. */
  failed(leaving: LeavingRequest, error: unknown): void
  /** Gives what is told of each write after the headers; it lives on, so it must not hold the request. */
  lateWrites(leaving: LeavingRequest): (kind: WriteKind) => void
  routeOf(request: unknown): RouteName
  policyOf(method: string, marks: RouteMarks): RequestPolicy
  readFromOf(marks: RouteMarks): Requirement | undefined
}
