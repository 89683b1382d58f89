import type { IgnoredPinReason } from '../diagnostics.ts'
import type { Pin } from './pin.ts'
import { type Claim, hasRightSignature, readToken, type TokenContext } from './token.ts'

/** What the copies of the cookie in one request were worth. */
export interface PinOfCookies {
  /** The strongest valid pin. */
  readonly pin: Pin | undefined
  /** Each reason for which a copy was worth nothing. */
  readonly ignored: ReadonlySet<IgnoredPinReason>
}

/**
 * How many signatures are looked at in one request. A user agent sends a handful of copies; a header full of forged ones
 * must not cost more than that.
 */
const MAX_SIGNATURES = 16

/**
 * The strongest valid pin among all copies of the cookie in a `Cookie` header: where several domains or
 * paths set it, the user agent sends it more than once, in an order that says nothing (RFC 6265, 5.4).
 */
export function pinOfCookies(header: string | undefined, context: TokenContext): PinOfCookies {
  if (header === undefined || !header.includes(context.cookieName)) return NOTHING
  const ignored = new Set<IgnoredPinReason>()
  const claims: Claim[] = []
  for (const token of valuesOfCookie(header, context.cookieName)) {
    const claim = readToken(token, context)
    if (typeof claim === 'string') ignored.add(claim)
    else claims.push(claim)
  }
  claims.sort((a, b) => b.pin.untilMs - a.pin.untilMs)
  for (const claim of claims.slice(0, MAX_SIGNATURES)) {
    if (hasRightSignature(claim, context)) return { pin: claim.pin, ignored }
    ignored.add('bad-signature')
  }
  return { pin: undefined, ignored }
}

const NOTHING: PinOfCookies = { pin: undefined, ignored: new Set() }

// Cookie parsers give one copy of each name; all are wanted here. A token needs no decoding.
function valuesOfCookie(header: string, name: string): Set<string> {
  const values = new Set<string>()
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.add(pair.slice(equals + 1).trim())
  }
  return values
}
