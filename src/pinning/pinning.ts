import type { ServerResponse } from 'node:http'
import {
  type IgnoredPinReason,
  ignoredPinChannel,
  lateWriteChannel,
  type PinReason,
  pinChannel,
} from '../diagnostics.ts'
import type { WriteKind } from '../routing/memory.ts'
import { type Requirement, readFromRequirement } from '../routing/requirement.ts'
import { pinOfCookies } from './cookie.ts'
import type { CookieSettings } from './cookie-options.ts'
import type { PinningSettings } from './options.ts'
import { type Pin, pinFromNow } from './pin.ts'
import { policyOf, type RouteMarks } from './policy.ts'
import { RequestPin } from './request-pin.ts'
import { encodeToken, type TokenContext } from './token.ts'

/** What a framework's edge does for the request side, which knows no framework. */
export interface Framework<Request> {
  serializeCookie(name: string, value: string, attributes: CookieAttributes): string
  isHttps(request: Request): boolean
  /** The route, to warn of it once. */
  routeOf(request: Request): RouteName
  logOf(request: Request): Log
}

/** A route of the application's, as a warning speaks of it. */
export interface RouteName {
  /** Tells it from others, where its name does not. */
  readonly key: unknown
  /** Its method and its pattern. */
  readonly name: string
}

/** Where a framework's warnings go. */
export interface Log {
  warn(message: string): void
  debug(message: string): void
}

/** The attributes of the cookie in one response; `maxAge` in seconds, as in `Set-Cookie`. */
export type CookieAttributes = Omit<CookieSettings, 'name' | 'secure'> & { maxAge: number; secure: boolean }

/** What came in, as `node:http` and the router have it. */
export interface Incoming {
  readonly method: string
  readonly cookieHeader: string | undefined
  readonly response: ServerResponse
  /** The marks of the route, where they are known already. */
  readonly marks: RouteMarks | undefined
  /** Whether the router found nothing for the request; asked for the last time as the headers leave. */
  reachedNoRoute(): boolean
}

/** How many pins were set, honoured and ignored since the start, and how many writes came too late for one. */
export interface PinCounts {
  set: number
  honoured: number
  /** Writes after the headers of their response had left. */
  late: number
  readonly ignored: Record<IgnoredPinReason, number>
}

/** The request side of one plugin or middleware: reads the pin of each request, and sets that of each response. */
export class Pinning<Request> {
  readonly counts: PinCounts = {
    set: 0,
    honoured: 0,
    late: 0,
    ignored: { malformed: 0, expired: 0, 'too-far-ahead': 0, 'bad-signature': 0 },
  }
  readonly #settings: PinningSettings<Request>
  readonly #framework: Framework<Request>
  readonly #tokens: TokenContext
  readonly #attributes: Omit<CookieAttributes, 'secure'>
  readonly #publicRoutes = new Set<unknown>()
  readonly #lateRoutes = new Set<unknown>()

  constructor(settings: PinningSettings<Request>, framework: Framework<Request>) {
    this.#settings = settings
    this.#framework = framework
    const { name: _name, secure: _secure, ...attributes } = settings.cookie
    this.#attributes = { ...attributes, maxAge: settings.pinningSeconds }
    this.#tokens = {
      cookieName: settings.cookie.name,
      secrets: settings.secrets,
      pinningSeconds: settings.pinningSeconds,
    }
  }

  /** Begins a request: finds its pin and what it is, and opens its routing context. */
  begin(request: Request, incoming: Incoming): RequestPin {
    const { method, cookieHeader, response, marks } = incoming
    const isSkipped = this.#settings.skip?.(request) === true
    const carried = isSkipped ? undefined : this.#carriedPin(request, cookieHeader)
    const start = {
      policy: policyOf(this.#settings, method, marks),
      pinningMs: this.#settings.pinningSeconds * 1000,
      carried,
      readFrom: readFromOf(marks),
      mayPin: !isSkipped,
      mayHaveBody: !this.#settings.readMethods.has(method),
      response,
    }
    return new RequestPin(start, {
      setPin: (reason) => this.#setPin(request, response, reason),
      reachedNoRoute: incoming.reachedNoRoute,
      lateWrites: () => this.#lateWrites(request),
    })
  }

  /** Decides anew what a request is, for a framework that finds its route only after it has begun. */
  remark(pin: RequestPin, method: string, marks: RouteMarks): void {
    pin.remark(policyOf(this.#settings, method, marks), readFromOf(marks))
  }

  #carriedPin(request: Request, cookieHeader: string | undefined): Pin | undefined {
    const { pin, ignored } = pinOfCookies(cookieHeader, this.#tokens)
    if (pin !== undefined) this.counts.honoured++
    for (const reason of ignored) this.#ignore(request, reason)
    return pin
  }

  #ignore(request: Request, reason: IgnoredPinReason): void {
    this.counts.ignored[reason]++
    this.#framework.logOf(request).debug(`Ignored a pinning cookie: ${reason}`)
    if (ignoredPinChannel.hasSubscribers) ignoredPinChannel.publish({ reason })
  }

  #setPin(request: Request, response: ServerResponse, reason: PinReason): Pin {
    const { name, secure } = this.#settings.cookie
    const pin = pinFromNow(this.#settings.pinningSeconds)
    const cookie = this.#framework.serializeCookie(name, encodeToken(pin, this.#tokens), {
      ...this.#attributes,
      secure: secure === 'auto' ? this.#framework.isHttps(request) : secure,
    })
    // Not `appendHeader()`, which would add to an array that is the application's own, and lives on.
    const others = response.getHeader('set-cookie')
    response.setHeader('set-cookie', others === undefined ? cookie : [others, cookie].flat().map(String))
    this.#keepPrivate(request, response)
    this.counts.set++
    if (pinChannel.hasSubscribers) pinChannel.publish({ reason, until: new Date(pin.untilMs) })
    return pin
  }

  /** A shared cache must not hand one user's pin to everybody (RFC 9111, 7.3). */
  #keepPrivate(request: Request, response: ServerResponse): void {
    const cacheControl = String(response.getHeader('cache-control') ?? '')
    if (cacheControl.trim() === '') {
      response.setHeader('cache-control', 'private')
      return
    }
    if (NOT_SHARED.test(cacheControl)) return
    const { key, name } = this.#framework.routeOf(request)
    if (this.#publicRoutes.has(key)) return
    this.#publicRoutes.add(key)
    this.#framework
      .logOf(request)
      .warn(
        `${name} wrote, so its response carries a pin, but its Cache-Control lets shared caches store it.`,
      )
  }

  #lateWrites(request: Request): (kind: WriteKind) => void {
    const { key, name } = this.#framework.routeOf(request)
    const log = this.#framework.logOf(request)
    return (reason) => {
      this.counts.late++
      if (lateWriteChannel.hasSubscribers) lateWriteChannel.publish({ route: name, reason })
      if (this.#lateRoutes.has(key)) return
      this.#lateRoutes.add(key)
      log.warn(
        `${name} wrote after the headers of its response had left, so that no pin could be set for that write: ` +
          'await what writes before you answer.',
      )
    }
  }
}

function readFromOf(marks: RouteMarks | undefined): Requirement | undefined {
  return marks?.readFrom === undefined ? undefined : readFromRequirement(marks.readFrom)
}

// Without one of these a shared cache may store the response, and hand it out together with its cookies.
const NOT_SHARED = /(?:^|,)\s*(?:private|no-store|no-cache)\s*(?:,|$)/i
