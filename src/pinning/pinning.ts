import type { ServerResponse } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import {
  type IgnoredPinReason,
  ignoredPinChannel,
  lateWriteChannel,
  type PinReason,
  pinChannel,
} from '../diagnostics.ts'
import { type MemorySettings, PLAIN, type WriteKind } from '../freshness/memory.ts'
import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { type Requirement, readFromRequirement } from '../freshness/requirement.ts'
import { AccountPin, type AskAccount } from './account-pin.ts'
import { AccountStore } from './account-store.ts'
import { answerOf, isYes } from './answer.ts'
import type { BegunBy, BegunPin } from './begun-pin.ts'
import { type CarriedPin, pinOfCookies, pinOfHeader, pinOfTokens } from './carried-pin.ts'
import { cookieNameOf, seenCookieNameOf } from './cookie-names.ts'
import { type CookieSettings, refuseUnwritableCookie } from './cookie-options.ts'
import type { Framework, Incoming } from './framework.ts'
import { keepContext } from './keep-context.ts'
import { keepPrivate } from './keep-private.ts'
import type { PinningSettings } from './options.ts'
import { pinHost } from './pin-host.ts'
import { policyOf, type RouteMarks } from './policy.ts'
import type { Log } from './process-log.ts'
import { type RequestOwner, RequestPin, type WithRouteName } from './request-pin.ts'
import { type PinsOfResponse, pinsOfResponse } from './response-pins.ts'
import { signingKeys } from './signer.ts'
import { encodeToken, type TokenContext } from './token.ts'
import { DOUBT, failure, MADE_TWICE, tell, WITHOUT, warnOnce } from './warnings.ts'

/** How many pins were set, honoured and ignored since the start, and how many writes came too late for one. */
export interface PinCounts {
  set: number
  honoured: number
  /** Writes after the headers of their response had left. */
  late: number
  readonly ignored: Record<IgnoredPinReason, number>
  /** How often the pin store did not answer a request in time, or failed it. What it did not take is tried again. */
  storeFailures: number
  /** Pins of accounts that were over, or were given up because too many waited, before the pin store took them. */
  storeLosses: number
}

/** The request side of one plugin or middleware: reads the pin of each request, and sets that of each response. */
export class Pinning<Request> {
  readonly counts: PinCounts = {
    set: 0,
    honoured: 0,
    late: 0,
    ignored: { malformed: 0, expired: 0, 'too-far-ahead': 0, 'bad-signature': 0 },
    storeFailures: 0,
    storeLosses: 0,
  }
  readonly #settings: PinningSettings<Request>
  readonly #framework: Framework<Request>
  readonly #tokens: TokenContext
  readonly #memory: MemorySettings
  readonly #memoryOfSkipped: MemorySettings
  readonly #store: AccountStore | undefined
  /** With the name that it has in responses. */
  readonly #cookie: CookieSettings
  /** The one for what was only seen. */
  readonly #seenCookie: CookieSettings
  readonly #owner: RequestOwner = {
    setPin: ({ request, response }, reason, pin, route) =>
      this.#setPin(request as Request, response, reason, pin, route),
    joinPins: ({ request, response }, brought, route) =>
      this.#joinPins(request as Request, response, brought, route),
    lateWrites: ({ request }, route) => this.#lateWrites(request as Request, route),
    failed: ({ request }, error) => this.#say(this.#framework.logOf(request as Request), failure(error)),
    routeOf: ({ request }) => this.#framework.routeOf(request as Request),
    policyOf: (method, marks) => policyOf(this.#settings, method, marks),
    readFromOf,
    hasSettings: (settings) => isDeepStrictEqual(settings, this.#settings),
  }
  /** The other plugins and middlewares that were met, whose options were compared. */
  readonly #met = new WeakSet<BegunBy>()
  /** What was warned of already: what an option did, or a pin that came. */
  readonly #saidOnce = new Set<unknown>()
  /** The routes that were warned of; what reached none is one of them, because its name may hold what its client chose. */
  readonly #publicRoutes = new Set<unknown>()
  readonly #lateRoutes = new Set<unknown>()

  /** @throws {WritePinningError} where the cookie is none that the framework's library can write. */
  constructor(settings: PinningSettings<Request>, framework: Framework<Request>) {
    refuseUnwritableCookie('writePinning', settings.cookie, framework.serializeCookie)
    this.#settings = settings
    this.#framework = framework
    const { cookie, isCookieNamed, pinningSeconds, accounts } = settings
    const keys = signingKeys(settings.secrets)
    this.#cookie = { ...cookie, name: cookieNameOf(cookie.name, isCookieNamed, keys) }
    this.#seenCookie = { ...this.#cookie, name: seenCookieNameOf(this.#cookie.name) }
    this.#tokens = { cookieName: cookie.name, keys, pinningSeconds }
    this.#store = accounts && new AccountStore(accounts.store, this.counts, framework.log)
    const host = pinHost(this.#tokens, this.#store)
    this.#memoryOfSkipped = { ...PLAIN, host }
    this.#memory = {
      wantsPositions: settings.pin === 'exact',
      wantsSeen: settings.monotonicReads,
      host,
    }
  }

  /** Begins a request: finds its pin and what it is, and opens its routing context, which its listeners keep. */
  begin(request: Request, incoming: Incoming): BegunPin {
    const { method, message, response, marks } = incoming
    const { headers } = message
    const { skip, affinity, header, readMethods, pinningSeconds } = this.#settings
    const isSkipped = skip !== undefined && isYes(skip, request, this.#reportOf('skip', request))
    let byCookie: Pin | undefined
    let carried: Pin | undefined
    let beyond: Pin | undefined
    let doubtUntilMs = 0
    if (!isSkipped) {
      const ofCookies = pinOfCookies(headers.cookie, this.#tokens)
      byCookie = this.#believed(request, 'cookie', ofCookies)
      carried = byCookie
      beyond = ofCookies.beyond
      doubtUntilMs = this.#doubtUntil(ofCookies)
      if (header !== undefined) {
        const ofHeader = pinOfHeader(headers[header], this.#tokens)
        carried = mergePins(byCookie, this.#believed(request, 'header', ofHeader))
        beyond = mergePins(beyond, ofHeader.beyond)
        doubtUntilMs = Math.max(doubtUntilMs, this.#doubtUntil(ofHeader))
      }
      if (carried !== undefined) this.counts.honoured++
    }
    const pin = new RequestPin(
      {
        marks,
        policy: policyOf(this.#settings, method, marks),
        pinningMs: pinningSeconds * 1000,
        carried,
        carriedBy: byCookie === undefined ? 'header' : 'cookie',
        beyond,
        doubtUntilMs,
        readFrom: readFromOf(marks),
        mayPin: !isSkipped,
        mayHaveBody: !readMethods.has(method),
        request,
        hasRoute: incoming.hasRoute,
        response,
        memory: isSkipped ? this.#memoryOfSkipped : this.#memory,
        account: isSkipped ? undefined : this.#accountOf(request),
      },
      this.#owner,
    )
    if (affinity !== undefined) pin.keepTo(() => this.#ask('affinity', affinity, request))
    keepContext(message, response, pin)
    return pin
  }

  /** The application closes: pins that the store has not taken are tried once more, for a moment at most. */
  async close(): Promise<void> {
    await this.#store?.close()
  }

  /** Says whose a request is, as the options do; undefined where accounts are not pinned. */
  accountOf(request: Request): AskAccount | undefined {
    const { accounts } = this.#settings
    return accounts && ((isKnown) => this.#ask('account', accounts.accountOf, request, isKnown))
  }

  /** Meets a request that another edge has begun, whose options count; warns once where they are not the same. */
  meet({ begunBy }: BegunPin, request: Request): void {
    if (begunBy === this.#owner || this.#met.has(begunBy)) return
    this.#met.add(begunBy)
    if (!begunBy.hasSettings(this.#settings)) {
      this.#say(this.#framework.logOf(request), MADE_TWICE, 'WRITE_PINNING_MADE_TWICE')
    }
  }

  #believed(request: Request, by: 'cookie' | 'header', { pin, ignored }: CarriedPin): Pin | undefined {
    for (const reason of ignored) this.#ignore(request, by, reason)
    return pin
  }

  /** Until when pins that came are in doubt: those that nobody has verified always, those with a wrong signature by option. */
  #doubtUntil({ doubtUntilMs, unverifiedUntilMs }: CarriedPin): number {
    return this.#settings.badSignature === 'primary'
      ? Math.max(doubtUntilMs, unverifiedUntilMs)
      : unverifiedUntilMs
  }

  #ignore(request: Request, by: 'cookie' | 'header', reason: IgnoredPinReason): void {
    this.counts.ignored[reason]++
    tell(() => this.#framework.logOf(request).debug(`Ignored a pinning ${by}: ${reason}`))
    if (ignoredPinChannel.hasSubscribers) ignoredPinChannel.publish({ reason })
    if (reason === 'bad-signature' && this.#settings.badSignature === 'primary') {
      this.#say(this.#framework.logOf(request), DOUBT)
    }
  }

  #accountOf(request: Request): AccountPin | undefined {
    const ask = this.accountOf(request)
    return ask && this.#store && new AccountPin(this.#store, ask)
  }

  #ask(
    option: 'account' | 'affinity',
    ask: (request: Request) => string | undefined,
    request: Request,
    isKnown = false,
  ): string | undefined {
    const report = isKnown ? () => {} : this.#reportOf(option, request, WITHOUT[option])
    return answerOf(ask, request, report)
  }

  #reportOf(option: string, request: Request, consequence = ''): (what: string) => void {
    return (what) =>
      this.#say(this.#framework.logOf(request), `The option \`${option}\` ${what}${consequence}.`)
  }

  #setPin(
    request: Request,
    response: ServerResponse,
    reason: PinReason,
    own: Pin,
    route: WithRouteName,
  ): Pin {
    const isSeen = reason === 'read'
    const carrier = { cookie: isSeen ? this.#seenCookie : this.#cookie, header: this.#settings.header }
    // What others have set takes the place of what was brought, which is part of the response's own.
    if (isSeen) this.#join(request, response, { cookie: this.#cookie }, own, route)
    const there = pinsOfResponse(response, carrier.cookie, carrier.header)
    const pin = mergePins(this.#pinOf(there), own)
    this.#carry(request, response, carrier, pin, there, route)
    this.counts.set++
    if (pinChannel.hasSubscribers)
      pinChannel.publish({ reason, kind: kindOf(pin), until: new Date(pin.untilMs) })
    return pin
  }

  #joinPins(
    request: Request,
    response: ServerResponse,
    brought: Pin | undefined,
    route: WithRouteName,
  ): void {
    this.#join(request, response, { cookie: this.#cookie, header: this.#settings.header }, brought, route)
    this.#join(request, response, { cookie: this.#seenCookie }, brought, route)
  }

  /** Of several pins that a response passes on, its user agent would keep the last; and of one and what it has, that one. */
  #join(
    request: Request,
    response: ServerResponse,
    carrier: Carrier,
    brought: Pin | undefined,
    route: WithRouteName,
  ): void {
    const there = pinsOfResponse(response, carrier.cookie, carrier.header)
    const isMore = there.copies > 1 || (there.copies === 1 && brought !== undefined)
    const pin = isMore ? mergePins(this.#pinOf(there), brought) : undefined
    if (pin !== undefined) this.#carry(request, response, carrier, pin, there, route)
  }

  /** What the pins of a response demand that others have set; one that is in doubt demands the primary. */
  #pinOf({ tokens }: PinsOfResponse): Pin | undefined {
    if (tokens.length === 0) return undefined
    const there = pinOfTokens(tokens, this.#tokens)
    const untilMs = this.#doubtUntil(there)
    const doubt: Pin | undefined = untilMs === 0 ? undefined : { kind: 'time', untilMs }
    return mergePins(mergePins(there.pin, there.beyond), doubt)
  }

  #carry(
    request: Request,
    response: ServerResponse,
    { cookie: { name, secure, ...attributes }, header }: Carrier,
    pin: Pin,
    { others }: PinsOfResponse,
    route: WithRouteName,
  ): void {
    const token = encodeToken(pin, this.#tokens)
    const cookie = this.#framework.serializeCookie(name, token, {
      ...attributes,
      maxAge: Math.max(1, Math.ceil((pin.untilMs - Date.now()) / 1000)),
      secure: secure === 'auto' ? this.#framework.isHttps(request) : secure,
    })
    // Not `appendHeader()`, which would add to an array that is the application's own, and lives on.
    response.setHeader('set-cookie', others.length === 0 ? cookie : [...others, cookie])
    if (header !== undefined) response.setHeader(header, token)
    this.#keepPrivate(request, response, route)
  }

  #keepPrivate(request: Request, response: ServerResponse, route: WithRouteName): void {
    if (this.#settings.cacheControl === 'leave') return
    const publicHeaders = keepPrivate(response)
    if (publicHeaders.length === 0) return
    const { key, name } = route.routeName
    warnOnce(
      this.#publicRoutes,
      key,
      this.#framework.logOf(request),
      `${name} answers with a pin, and ${publicHeaders.join(' and ')} let shared caches store the answer, and hand that pin to others: ` +
        'it was made private. Let them store what neither writes nor carries a pin; with `monotonicReads` whatever reads carries ' +
        "one, but for what `skip` leaves out. Where no cache of yours stores a `Set-Cookie`, set `cacheControl: 'leave'`.",
    )
  }

  #say(log: Log, message: string, code?: string): void {
    warnOnce(this.#saidOnce, message, log, message, code)
  }

  #lateWrites(request: Request, route: WithRouteName): (kind: WriteKind) => void {
    const { key, name } = route.routeName
    const log = this.#framework.logOf(request)
    return (reason) => {
      this.counts.late++
      if (lateWriteChannel.hasSubscribers) lateWriteChannel.publish({ route: name, reason })
      warnOnce(
        this.#lateRoutes,
        key,
        log,
        `${name} wrote after the headers of its response had left, so that no pin could be set for that write: ` +
          'await what writes before you answer.',
      )
    }
  }
}

/** What carries a pin in a response. */
interface Carrier {
  readonly cookie: CookieSettings
  readonly header?: string | undefined
}

/** What a pin is worth: one that holds no position at all sends reads to the primary, as a time pin does. */
function kindOf(pin: Pin): Pin['kind'] {
  if (pin.kind === 'time') return 'time'
  return [...pin.clusters.values()].some(({ exact }) => exact !== undefined) ? 'exact' : 'time'
}

function readFromOf(marks: RouteMarks | undefined): Requirement | undefined {
  return marks?.readFrom === undefined ? undefined : readFromRequirement(marks.readFrom)
}
