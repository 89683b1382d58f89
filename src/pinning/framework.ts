import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { WritePinningError } from '../errors.ts'
import type { RouteName } from './begun-pin.ts'
import type { CookieSettings } from './cookie-options.ts'
import type { RouteMarks } from './route-marks.ts'
import type { Log } from './warnings.ts'

/** What the request side needs from the edge of a framework. The request side itself knows no framework. */
export interface Framework<Request> {
  serializeCookie(name: string, value: string, attributes: CookieAttributes): string
  isHttps(request: Request): boolean
  /** The route of a request, so that each route gives a warning only once. */
  routeOf(request: Request): RouteName
  logOf(request: Request): Log
  /** The application's log, for warnings that belong to no request. */
  readonly log: Log
}

/** The attributes of the cookie in one response; `maxAge` in seconds, as in `Set-Cookie`. */
export type CookieAttributes = Omit<CookieSettings, 'name' | 'secure'> & { maxAge: number; secure: boolean }

/** A request that came in, as `node:http` and the router give it. */
export interface Incoming {
  readonly method: string
  readonly message: IncomingMessage
  readonly response: ServerResponse
  /** The marks of the route; undefined if they are not known yet. */
  readonly marks: RouteMarks | undefined
  /** Whether the router has found a route for the request. Asked for the last time when the headers leave. */
  hasRoute(): boolean
}

/** How a warning names a request that has no route. */
export const NO_ROUTE = 'A request that reached no route'

/**
 * Whether a request came over HTTPS. The framework's `protocol` counts first, because Express and Fastify know
 * whether their proxy is trusted. Node.js knows only its own socket.
 */
export function isHttps({
  protocol,
  socket,
}: {
  readonly protocol?: unknown
  readonly socket?: unknown
}): boolean {
  if (typeof protocol === 'string') return /^https\b/i.test(protocol)
  return (socket as Partial<TLSSocket> | null | undefined)?.encrypted === true
}

/**
 * Makes reading `property` of `target` throw. A framework reads some properties of each object that it is given. So
 * this is the earliest moment to say that it was given the wrong object.
 */
export function throwWhenRead(target: object, property: PropertyKey, error: () => WritePinningError): void {
  Object.defineProperty(target, property, {
    get() {
      throw error()
    },
    configurable: true,
  })
}
