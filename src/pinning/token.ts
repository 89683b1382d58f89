import type { PinHost } from '../freshness/memory.ts'
import { pinAtMostUntil, pinOfParts } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import type { AccountStore } from './account-store.ts'
import { MAX_PINNING_SECONDS, pinAtMostADay } from './pinning-seconds.ts'
import { isSignedBy, KEY_ID_LENGTH, type SigningKey, sign } from './signer.ts'
import { readClaims, writeClaims } from './token-claims.ts'

/** What a token is bound to. */
export interface TokenContext {
  /** The name that the signature covers: that of the cookie, without the key that it is named after. */
  readonly cookieName: string
  /** The first signs, all verify; none where tokens are not signed. */
  readonly keys: readonly SigningKey[]
  /** For how long a pin that nobody signed is believed, from now on. */
  readonly pinningSeconds: number
}

/** How far the clocks of two servers may differ, in ms, before an unsigned pin that one set is too far ahead for the other. */
const CLOCK_DIFFERENCE_MS = 30_000

/**
 * Writes a pin down, for a cookie or a header. A time pin is of version 1 (`1t`, its expiry, and where there is a secret
 * a dot and the signature); an exact pin is of version 2 (`2` and the id of the key, its claims, the signature).
 */
export function encodeToken(pin: Pin, context: TokenContext): string {
  const key = context.keys[0]
  const text =
    pin.kind === 'time'
      ? `1t${pin.untilMs.toString(36)}`
      : `2${key === undefined ? '' : key.id}.${writeClaims(pin)}`
  return key === undefined ? text : `${text}.${sign(text, context.cookieName, key)}`
}

/** What a token says, before anybody knows whether its signature is right. */
export interface Claim {
  readonly pin: Pin
  readonly text: string
  /** Of the key that it says it was signed with; undefined in version 1, which does not say. */
  readonly keyId: string | undefined
  readonly signature: string | undefined
}

/** Reads a token that a client sent: its claim, or why it is worth nothing. Never throws. */
export function readToken(token: string): Claim | 'malformed' | 'expired' {
  const parts = partsOf(token)
  if (parts === undefined) return 'malformed'
  const { primaryUntilMs, clusters, writtenUntilMs } = parts.claims
  const pin = pinOfParts(primaryUntilMs, clusters, Date.now(), writtenUntilMs)
  return pin === undefined ? 'expired' : { ...parts, pin: pinAtMostADay(pin) }
}

/** Whether a claim was signed with one of the secrets; where there is none, no signature is asked for. */
export function hasRightSignature(claim: Claim, context: TokenContext): boolean {
  return context.keys.length === 0 || isSignedByOne(claim, keysOf(claim, context), context)
}

/**
 * The keys that a claim can be signed with, by what it says of itself, and by the key that its cookie is named after (empty for
 * none). Where there are none, its signature is wrong, and costs nothing.
 */
export function keysOf(claim: Claim, { keys }: TokenContext, ofCookie = ''): readonly SigningKey[] {
  if (claim.signature === undefined) return NO_KEYS
  if (claim.keyId === undefined && ofCookie === '') return keys
  return keys.filter(({ id }) => (claim.keyId ?? id) === id && (ofCookie === '' || ofCookie === id))
}

/** Whether a claim was signed with one of these keys. */
export function isSignedByOne(
  { text, signature = '' }: Claim,
  keys: readonly SigningKey[],
  { cookieName }: TokenContext,
): boolean {
  return keys.some((key) => isSignedBy(key, text, cookieName, signature))
}

const NO_KEYS: readonly SigningKey[] = []

/**
 * The pin of a claim, as far as it is believed. What was signed lasts as long as it says: by a process whose pins last longer, or
 * with `capturePin({ seconds })`. Anybody can write down what nobody signs, so where there is no secret, a claim that is further
 * ahead than clocks can explain is believed for no longer than a write is pinned here.
 */
export function believedPin({ pin }: Claim, { keys, pinningSeconds }: TokenContext): Pin {
  if (keys.length > 0) return pin
  const untilMs = Date.now() + pinningSeconds * 1000
  return pin.untilMs > untilMs + CLOCK_DIFFERENCE_MS ? pinAtMostUntil(pin, untilMs) : pin
}

/** As long as the claims of all the clusters that a pin can hold, and a signature. */
const MAX_LENGTH = 1_280

const TIME_TOKEN = /^1(t[0-9a-z]{1,11})(?:\.([\w-]{43}))?$/
const EXACT_TOKEN = new RegExp(`^2(?:([\\w-]{${KEY_ID_LENGTH}})\\.(.+)\\.([\\w-]{43})|\\.(.+))$`)

function partsOf(token: string) {
  if (token.length > MAX_LENGTH) return undefined
  const time = TIME_TOKEN.exec(token)
  const exact = time === null ? EXACT_TOKEN.exec(token) : null
  const [, keyId, signed, ofExact, unsigned] = exact ?? []
  const claimed = time?.[1] ?? signed ?? unsigned
  const claims = claimed === undefined ? undefined : readClaims(claimed.split('.'))
  if (claims === undefined) return undefined
  const signature = time?.[2] ?? ofExact
  const text = signature === undefined ? token : token.slice(0, -signature.length - 1)
  return { claims, text, keyId, signature }
}

/** What a plugin, or `runWithPin()`, lends to the contexts that it opens: it keeps the secrets to itself. */
export function pinHost(tokens: TokenContext, store: AccountStore | undefined): PinHost {
  // What an application hands on by itself may last longer than what a user agent may carry, signed or not.
  const handedOn = { ...tokens, pinningSeconds: MAX_PINNING_SECONDS }
  return {
    encode: (pin) => encodeToken(pin, tokens),
    read: (token) => {
      const claim = readToken(token)
      if (typeof claim === 'string') return claim
      return hasRightSignature(claim, tokens) ? believedPin(claim, handedOn) : 'bad-signature'
    },
    isSigned: tokens.keys.length > 0,
    withCookieName: (cookieName) => pinHost({ ...tokens, cookieName }, store),
    raiseAccount: store && ((account, pin) => store.raise(account, pin).answer),
  }
}
