import type { ServerResponse } from 'node:http'
import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { doubtUntil, pinOfTokens, type SentToken, tokensOfHeader } from './carried-pin.ts'
import { cookieNameOf, seenCookieNameOf } from './cookie-names.ts'
import type { CookieSettings } from './cookie-options.ts'
import type { Framework } from './framework.ts'
import { keepPrivate } from './keep-private.ts'
import type { PinningSettings } from './options.ts'
import type { LeavingRequest } from './request-start.ts'
import { encodeToken, type TokenSettings } from './token.ts'
import { warnOnce } from './warnings.ts'

/** The cookie and the header that carry a pin in a response. */
interface Carrier {
  readonly cookie: CookieSettings
  readonly header?: string | undefined
}

/** Puts pins into responses: as a cookie, and in the header that the options name. */
export class ResponsePins<Request> {
  readonly #settings: PinningSettings<Request>
  readonly #framework: Framework<Request>
  readonly #tokens: TokenSettings
  /** Carries the pin of what was written. */
  readonly #written: Carrier
  /** Carries the pin of what was only read. */
  readonly #seen: Carrier
  /**
   * The routes that already had a warning. Requests without a route count as one route, because a client chooses
   * their names.
   */
  readonly #publicRoutes = new Set<unknown>()

  constructor(settings: PinningSettings<Request>, framework: Framework<Request>, tokens: TokenSettings) {
    this.#settings = settings
    this.#framework = framework
    this.#tokens = tokens
    const { header, isCookieNamed } = settings
    const cookie = {
      ...settings.cookie,
      name: cookieNameOf(settings.cookie.name, isCookieNamed, tokens.keys),
    }
    this.#written = { cookie, header }
    this.#seen = { cookie: { ...cookie, name: seenCookieNameOf(cookie.name) }, header }
  }

  /**
   * Puts a pin into a response; with `isSeen`, a pin of what was only read. Gives the pin that the response then
   * carries: this one, merged with those that others have set.
   */
  set(leaving: LeavingRequest<Request>, own: Pin, isSeen: boolean): Pin {
    const carrier = isSeen ? this.#seen : this.#written
    // An upstream, or another plugin, may have set the cookie of a write in this response. It would replace the one
    // that the user agent has. So the pin that was brought, which is in `own`, is merged into it.
    if (isSeen) this.#join(leaving, { cookie: this.#written.cookie }, own)
    const present = pinsOfResponse(leaving.response, carrier)
    const pin = mergePins(this.#pinOf(present), own)
    this.#carry(leaving, carrier, pin, present)
    return pin
  }

  /**
   * For a response that does not pin by itself: if others have set pins in it, merges them with the pin that the
   * request brought.
   */
  join(leaving: LeavingRequest<Request>, brought: Pin | undefined): void {
    this.#join(leaving, this.#written, brought)
    this.#join(leaving, { cookie: this.#seen.cookie }, brought)
  }

  /**
   * Merges the pins that are already in the response into one, together with the pin that was brought. Otherwise the
   * user agent would keep only the last of several pins, and that one would replace the pin that it has.
   */
  #join(leaving: LeavingRequest<Request>, carrier: Carrier, brought: Pin | undefined): void {
    const present = pinsOfResponse(leaving.response, carrier)
    const isMore = present.copies > 1 || (present.copies === 1 && brought !== undefined)
    const pin = isMore ? mergePins(this.#pinOf(present), brought) : undefined
    if (pin !== undefined) this.#carry(leaving, carrier, pin, present)
  }

  /** Merges the pins that others have set. A pin in doubt demands the primary. */
  #pinOf({ tokens }: PinsOfResponse): Pin | undefined {
    if (tokens.length === 0) return undefined
    const present = pinOfTokens(tokens, this.#tokens)
    const untilMs = doubtUntil(present, this.#settings.badSignature)
    const doubt: Pin | undefined = untilMs === 0 ? undefined : { kind: 'time', untilMs }
    return mergePins(mergePins(present.pin, present.tooLongLived), doubt)
  }

  #carry(
    leaving: LeavingRequest<Request>,
    { cookie: { name, secure, ...attributes }, header }: Carrier,
    pin: Pin,
    { others }: PinsOfResponse,
  ): void {
    const { request, response } = leaving
    const token = encodeToken(pin, this.#tokens)
    const cookie = this.#framework.serializeCookie(name, token, {
      ...attributes,
      maxAge: Math.max(1, Math.ceil((pin.untilMs - Date.now()) / 1000)),
      secure: secure === 'auto' ? this.#framework.isHttps(request) : secure,
    })
    // Not `appendHeader()`: it would add to an array that belongs to the application and lives on.
    response.setHeader('set-cookie', others.length === 0 ? cookie : [...others, cookie])
    if (header !== undefined) response.setHeader(header, token)
    if (this.#settings.cacheControl === 'private') this.#keepPrivate(leaving)
  }

  #keepPrivate(leaving: LeavingRequest<Request>): void {
    const publicHeaders = keepPrivate(leaving.response)
    if (publicHeaders.length === 0) return
    const { key, name } = leaving.routeName
    warnOnce(
      this.#publicRoutes,
      key,
      this.#framework.logOf(leaving.request),
      `${name} answers with a pin, and ${publicHeaders.join(' and ')} let shared caches store the answer, and hand that pin to others: ` +
        'it was made private. Let them store what neither writes nor carries a pin; with `monotonicReads` whatever reads carries ' +
        "one, but for what `skip` leaves out. Where no cache of yours stores a `Set-Cookie`, set `cacheControl: 'leave'`.",
    )
  }
}

/**
 * The pins that a response already carries when its headers are about to leave. They are ours, or those of other
 * processes.
 */
interface PinsOfResponse {
  /** The tokens of the cookies with our name, and of our header. */
  readonly tokens: readonly SentToken[]
  /** How many of those cookies, or values of the header, would overwrite each other. */
  readonly copies: number
  /** The `Set-Cookie` headers that ours does not overwrite. They stay beside it. */
  readonly others: readonly string[]
}

/**
 * Finds the pins that a response already carries: a gateway passes on those of an upstream, or a second plugin has
 * set one. A user agent keeps only the last cookie of one name, path and domain. So if two left, one write would be
 * lost.
 */
function pinsOfResponse(response: ServerResponse, { cookie, header }: Carrier): PinsOfResponse {
  const tokens: SentToken[] = []
  const others: string[] = []
  let overwritten = 0
  for (const text of textsOf(response.getHeader('set-cookie'))) {
    const value = tokenOf(text, cookie.name)
    if (value !== undefined) tokens.push({ text: value, keyId: '' })
    if (value !== undefined && isOverwritten(text, cookie)) overwritten++
    else others.push(text)
  }
  const ofHeader = header === undefined ? [] : tokensOfHeader(textsOf(response.getHeader(header)).join())
  return { tokens: [...tokens, ...ofHeader], copies: Math.max(overwritten, ofHeader.length), others }
}

function textsOf(header: number | string | readonly string[] | undefined): string[] {
  return header === undefined ? [] : [header].flat().map(String)
}

/** The value of a `Set-Cookie` header with that name; undefined for another name. */
function tokenOf(text: string, name: string): string | undefined {
  const [pair = ''] = text.split(';', 1)
  const equals = pair.indexOf('=')
  return equals !== -1 && pair.slice(0, equals).trim() === name ? pair.slice(equals + 1).trim() : undefined
}

/**
 * Whether a user agent replaces this cookie by ours (RFC 6265, 5.3). If it has no path, its default path is unknown
 * here. So it stays, and ours comes after it.
 */
function isOverwritten(text: string, { path, domain, partitioned }: CookieSettings): boolean {
  const attributes = new Map<string, string>()
  for (const each of text.split(';').slice(1)) {
    const [key = '', value = ''] = each.split(/=(.*)/s)
    attributes.set(key.trim().toLowerCase(), value.trim())
  }
  return (
    attributes.get('path') === path &&
    hostOf(attributes.get('domain')) === hostOf(domain) &&
    attributes.has('partitioned') === partitioned
  )
}

function hostOf(domain: string | undefined): string {
  return (domain ?? '').replace(/^\./, '').toLowerCase()
}
