import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { WritePinningError } from '../errors.ts'
import type { RouteName } from './begun-pin.ts'
import type { CookieSettings } from './cookie-options.ts'
import type { RouteMarks } from './route-marks.ts'
import type { Log } from './warnings.ts'

/** What a framework's edge does for the request side, which knows no framework. */
export interface Framework<Request> {
  serializeCookie(name: string, value: string, attributes: CookieAttributes): string
  isHttps(request: Request): boolean
  /** The route, to warn of it once. */
  routeOf(request: Request): RouteName
  logOf(request: Request): Log
  /** The application's, for what is no request's. */
  readonly log: Log
}

/** The attributes of the cookie in one response; `maxAge` in seconds, as in `Set-Cookie`. */
export type CookieAttributes = Omit<CookieSettings, 'name' | 'secure'> & { maxAge: number; secure: boolean }

/** What came in, as `node:http` and the router have it. */
export interface Incoming {
  readonly method: string
  readonly message: IncomingMessage
  readonly response: ServerResponse
  /** The marks of the route, where they are known already. */
  readonly marks: RouteMarks | undefined
  /** Whether the router has found a route for the request; asked for the last time as the headers leave. */
  hasRoute(): boolean
}

/** How a warning names the route of a request that has none. */
export const NO_ROUTE = 'A request that reached no route'

/** Express and Fastify know whether their proxy is trusted, and any framework may say so; Node.js knows only its own socket. */
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
 * Makes reading `property` of `target` an error. A framework reads some properties of what it is handed, so this is the
 * earliest moment to say that it was handed the wrong thing.
 */
export function throwWhenRead(target: object, property: PropertyKey, error: () => WritePinningError): void {
  Object.defineProperty(target, property, {
    get() {
      throw error()
    },
    configurable: true,
  })
}
