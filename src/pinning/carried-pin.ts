import type { IgnoredPinReason } from '../diagnostics.ts'
import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { keyIdOfCookie } from './cookie-names.ts'
import { believedPin, isSignedByOne, keysOf, readToken, type TokenContext } from './token.ts'

/** What the tokens that came in one request were worth. */
export interface CarriedPin {
  /** All that the valid ones demand. */
  readonly pin: Pin | undefined
  /** Those that this process believes for less long than they say, as they are: the next process may believe more of them. */
  readonly beyond: Pin | undefined
  /** When the last is over whose signature is missing or wrong: it may be that of a process with another secret; 0 for none. */
  readonly doubtUntilMs: number
  /** The same for those that nobody has verified, because they are too many. */
  readonly unverifiedUntilMs: number
  /** Each reason for which one was worth nothing, or less than it says. */
  readonly ignored: ReadonlySet<IgnoredPinReason>
}

/**
 * Until when tokens are in doubt, and their request's reads go to the primary: those that nobody has verified always, those with a wrong
 * signature by the option `badSignature`; 0 for none.
 */
export function doubtUntil(
  { doubtUntilMs, unverifiedUntilMs }: CarriedPin,
  badSignature: 'primary' | 'ignore',
): number {
  return badSignature === 'primary' ? Math.max(doubtUntilMs, unverifiedUntilMs) : unverifiedUntilMs
}

/** A token as it was sent. */
export interface SentToken {
  readonly text: string
  /** The key that its cookie is named after; empty where no name says so. */
  readonly keyId: string
}

/**
 * How many tokens are verified in one request: as many as go into the 16 KB that Node.js allows the headers of a request. Where an
 * operator allows more, the honest one may be among the rest, so the primary serves.
 */
export const MAX_VERIFIED = 256

/**
 * The pin of all valid copies of the cookie in a `Cookie` header: where several domains or
 * paths set it, the user agent sends it more than once, in an order that says nothing (RFC 6265, 5.4).
 */
export function pinOfCookies(header: string | undefined, context: TokenContext): CarriedPin {
  if (header === undefined || !header.includes(context.cookieName)) return NOTHING
  return pinOfTokens(tokensOfCookies(header, context.cookieName), context)
}

/** The same for the values of the header that carries tokens. Where it came more than once, Node.js has joined them. */
export function pinOfHeader(header: string | string[] | undefined, context: TokenContext): CarriedPin {
  if (header === undefined || header.length === 0) return NOTHING
  return pinOfTokens(tokensOfHeader(String(header)), context)
}

/** The tokens of a header of ours, each once. */
export function tokensOfHeader(header: string): SentToken[] {
  const texts = new Set(header.split(',').map((each) => each.trim()))
  texts.delete('')
  return Array.from(texts, (text) => ({ text, keyId: '' }))
}

/** What tokens are worth, together. */
export function pinOfTokens(tokens: readonly SentToken[], context: TokenContext): CarriedPin {
  const latestDoubtMs = Date.now() + context.pinningSeconds * 1000
  const ignored = new Set<IgnoredPinReason>()
  let pin: Pin | undefined
  let beyond: Pin | undefined
  let doubtUntilMs = 0
  let unverifiedUntilMs = 0
  let verified = 0
  for (const { text, keyId } of tokens) {
    const claim = readToken(text)
    if (typeof claim === 'string') {
      ignored.add(claim)
      continue
    }
    const keys = keysOf(claim, context, keyId)
    const isVerified = keys.length === 0 || verified++ < MAX_VERIFIED
    if (context.keys.length === 0 || (isVerified && isSignedByOne(claim, keys, context))) {
      const believed = believedPin(claim, context)
      pin = mergePins(pin, believed)
      if (believed === claim.pin) continue
      ignored.add('too-far-ahead')
      beyond = mergePins(beyond, claim.pin)
      continue
    }
    ignored.add('bad-signature')
    const untilMs = Math.min(claim.pin.untilMs, latestDoubtMs)
    if (isVerified) doubtUntilMs = Math.max(doubtUntilMs, untilMs)
    else unverifiedUntilMs = Math.max(unverifiedUntilMs, untilMs)
  }
  return { pin, beyond, doubtUntilMs, unverifiedUntilMs, ignored }
}

/** What no token is worth. */
export const NOTHING: CarriedPin = {
  pin: undefined,
  beyond: undefined,
  doubtUntilMs: 0,
  unverifiedUntilMs: 0,
  ignored: new Set(),
}

// Cookie parsers give one copy of each name; all are wanted here. A token needs no decoding.
function tokensOfCookies(header: string, cookieName: string): SentToken[] {
  const tokens: SentToken[] = []
  const seen = new Set<string>()
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1) continue
    const name = pair.slice(0, equals).trim()
    const keyId = keyIdOfCookie(name, cookieName)
    if (keyId === undefined) continue
    const text = pair.slice(equals + 1).trim()
    const key = `${keyId}=${text}`
    if (seen.has(key)) continue
    seen.add(key)
    tokens.push({ text, keyId })
  }
  return tokens
}
