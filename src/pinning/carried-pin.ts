import type { IgnoredPinReason } from '../diagnostics.ts'
import { mergePins } from '../routing/merge-pins.ts'
import type { Pin } from '../routing/pin.ts'
import { believedPin, type Claim, hasRightSignature, readToken, type TokenContext } from './token.ts'

/** What the tokens that came in one request were worth. */
export interface CarriedPin {
  /** All that the valid ones demand. */
  readonly pin: Pin | undefined
  /** Those that this process believes for less long than they say, as they are: the next process may believe more of them. */
  readonly beyond: Pin | undefined
  /** When the last is over whose signature is missing or wrong: it may be that of a process with another secret; 0 for none. */
  readonly doubtUntilMs: number
  /** Each reason for which one was worth nothing, or less than it says. */
  readonly ignored: ReadonlySet<IgnoredPinReason>
}

/**
 * How many tokens are verified in one request. A user agent sends a handful of copies; a header full of forged ones
 * must not cost more signatures than that. Any other counts as one whose signature is wrong.
 */
const MAX_TOKENS = 16

/**
 * The pin of all valid copies of the cookie in a `Cookie` header: where several domains or
 * paths set it, the user agent sends it more than once, in an order that says nothing (RFC 6265, 5.4).
 */
export function pinOfCookies(header: string | undefined, context: TokenContext): CarriedPin {
  if (header === undefined || !header.includes(context.cookieName)) return NOTHING
  return pinOfTokens(valuesOfCookie(header, context.cookieName), context)
}

/** The same for the values of the header that carries tokens. Where it came more than once, Node.js has joined them. */
export function pinOfHeader(header: string | string[] | undefined, context: TokenContext): CarriedPin {
  if (header === undefined || header.length === 0) return NOTHING
  const values = String(header)
    .split(',')
    .map((each) => each.trim())
  return pinOfTokens(new Set(values.filter((each) => each !== '')), context)
}

function pinOfTokens(tokens: ReadonlySet<string>, context: TokenContext): CarriedPin {
  const ignored = new Set<IgnoredPinReason>()
  const claims: Claim[] = []
  for (const token of tokens) {
    const claim = readToken(token)
    if (typeof claim === 'string') ignored.add(claim)
    else claims.push(claim)
  }
  claims.sort((a, b) => b.pin.untilMs - a.pin.untilMs)
  let pin: Pin | undefined
  let beyond: Pin | undefined
  let doubtUntilMs = 0
  const latestDoubtMs = Date.now() + context.pinningSeconds * 1000
  for (const [index, claim] of claims.entries()) {
    const isVerified = index < MAX_TOKENS || context.keys.length === 0
    if (isVerified && hasRightSignature(claim, context)) {
      const believed = believedPin(claim, context)
      pin = mergePins(pin, believed)
      if (believed === claim.pin) continue
      ignored.add('too-far-ahead')
      beyond = mergePins(beyond, claim.pin)
    } else {
      ignored.add('bad-signature')
      doubtUntilMs = Math.max(doubtUntilMs, Math.min(claim.pin.untilMs, latestDoubtMs))
    }
  }
  return { pin, beyond, doubtUntilMs, ignored }
}

const NOTHING: CarriedPin = { pin: undefined, beyond: undefined, doubtUntilMs: 0, ignored: new Set() }

// Cookie parsers give one copy of each name; all are wanted here. A token needs no decoding.
function valuesOfCookie(header: string, name: string): Set<string> {
  const values = new Set<string>()
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.add(pair.slice(equals + 1).trim())
  }
  return values
}
