import type { IgnoredPinReason } from '../diagnostics.ts'
import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { keyIdOfCookie } from './cookie-names.ts'
import { believedPin, isSignedByOne, keysOf, readToken, type TokenSettings } from './token.ts'

/** The result of reading all tokens of one request. */
export interface CarriedPin {
  /** The pin of all valid tokens together. */
  readonly pin: Pin | undefined
  /**
   * Valid tokens that this process honours for less time than they claim, unchanged. Another process may honour them
   * for longer.
   */
  readonly tooLongLived: Pin | undefined
  /**
   * When the last token with a missing or wrong signature is over; 0 if there is none. It may be an honest token of a
   * process with another secret. It counts for `pinningSeconds` at most.
   */
  readonly doubtUntilMs: number
  /** The same for tokens that were not verified because there were too many. */
  readonly unverifiedUntilMs: number
  /** Why tokens had no effect, or less than they claim. */
  readonly ignored: ReadonlySet<IgnoredPinReason>
}

/**
 * Until when tokens in doubt send the reads of their request to the primary; 0 for none. Unverified tokens always do.
 * Tokens with a missing or wrong signature do unless `badSignature` is `'ignore'`.
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
  /** The id of the key in the name of its cookie; empty if the name has none. */
  readonly keyId: string
}

/**
 * How many tokens of one request are verified: as many as fit into the 16 KB that Node.js allows for the headers of a
 * request. If an operator allows more, the honest token may be among those that are not verified. So the primary
 * serves.
 */
export const MAX_VERIFIED = 256

/**
 * The pin of all valid copies of the cookie in a `Cookie` header. If several domains or paths set the cookie, the
 * user agent sends it several times, in an order that says nothing (RFC 6265, 5.4).
 */
export function pinOfCookies(header: string | undefined, settings: TokenSettings): CarriedPin {
  if (header === undefined || !header.includes(settings.cookieName)) return NOTHING
  return pinOfTokens(tokensOfCookies(header, settings.cookieName), settings)
}

/** The pin of all valid tokens in the header that carries them. Node.js joins a header that came more than once. */
export function pinOfHeader(header: string | string[] | undefined, settings: TokenSettings): CarriedPin {
  if (header === undefined || header.length === 0) return NOTHING
  return pinOfTokens(tokensOfHeader(String(header)), settings)
}

/** The tokens in the value of the header, without duplicates. */
export function tokensOfHeader(header: string): SentToken[] {
  const texts = new Set(header.split(',').map((each) => each.trim()))
  texts.delete('')
  return Array.from(texts, (text) => ({ text, keyId: '' }))
}

/** The pin of several tokens together. */
export function pinOfTokens(tokens: readonly SentToken[], settings: TokenSettings): CarriedPin {
  const latestDoubtMs = Date.now() + settings.pinningSeconds * 1000
  const ignored = new Set<IgnoredPinReason>()
  let pin: Pin | undefined
  let tooLongLived: Pin | undefined
  let doubtUntilMs = 0
  let unverifiedUntilMs = 0
  let verified = 0
  for (const { text, keyId } of tokens) {
    const token = readToken(text)
    if (typeof token === 'string') {
      ignored.add(token)
      continue
    }
    const keys = keysOf(token, settings, keyId)
    const isVerified = keys.length === 0 || verified++ < MAX_VERIFIED
    if (settings.keys.length === 0 || (isVerified && isSignedByOne(token, keys, settings))) {
      const believed = believedPin(token, settings)
      pin = mergePins(pin, believed)
      if (believed === token.pin) continue
      ignored.add('too-far-ahead')
      tooLongLived = mergePins(tooLongLived, token.pin)
      continue
    }
    ignored.add('bad-signature')
    const untilMs = Math.min(token.pin.untilMs, latestDoubtMs)
    if (isVerified) doubtUntilMs = Math.max(doubtUntilMs, untilMs)
    else unverifiedUntilMs = Math.max(unverifiedUntilMs, untilMs)
  }
  return { pin, tooLongLived, doubtUntilMs, unverifiedUntilMs, ignored }
}

/** The result without any token. */
export const NOTHING: CarriedPin = {
  pin: undefined,
  tooLongLived: undefined,
  doubtUntilMs: 0,
  unverifiedUntilMs: 0,
  ignored: new Set(),
}

// A cookie parser gives one copy of each name, and this needs all of them. A token needs no decoding.
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
