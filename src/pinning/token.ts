import type { PinCodec } from '../freshness/memory.ts'
import { pinAtMostUntil, pinOfParts } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import type { AccountStore } from './account-store.ts'
import { MAX_PINNING_SECONDS, pinAtMostADay } from './pinning-seconds.ts'
import { isSignedBy, KEY_ID_LENGTH, type SigningKey, sign } from './signer.ts'
import { readClaims, writeClaims } from './token-claims.ts'

/** How tokens are signed, and how long unsigned ones last. */
export interface TokenSettings {
  /** The name that the signature covers: that of the cookie, without the key id. */
  readonly cookieName: string
  /** The first signs, all verify. Empty if tokens are not signed. */
  readonly keys: readonly SigningKey[]
  /** How long an unsigned pin is honoured from now on, in seconds. */
  readonly pinningSeconds: number
}

/** How far the clocks of two servers may differ, in ms. An unsigned pin that is further ahead than this is cut. */
const CLOCK_DIFFERENCE_MS = 30_000

/**
 * Writes a pin as a token, for a cookie or a header. A time pin has version 1: `1t`, its expiry, and with a secret a
 * dot and the signature. An exact pin has version 2: `2`, the id of the key, a dot, its claims, and with a secret a
 * dot and the signature.
 */
export function encodeToken(pin: Pin, settings: TokenSettings): string {
  const key = settings.keys[0]
  const text =
    pin.kind === 'time'
      ? `1t${pin.untilMs.toString(36)}`
      : `2${key === undefined ? '' : key.id}.${writeClaims(pin)}`
  return key === undefined ? text : `${text}.${sign(text, settings.cookieName, key)}`
}

/** A token that was read. Its signature is not checked yet. */
export interface ReadToken {
  readonly pin: Pin
  readonly text: string
  /** The id of the key that signed it, as it claims; undefined in version 1, which does not say. */
  readonly keyId: string | undefined
  readonly signature: string | undefined
}

/** Reads a token that a client sent. If it has no effect, gives the reason. Never throws. */
export function readToken(token: string): ReadToken | 'malformed' | 'expired' {
  const parts = partsOf(token)
  if (parts === undefined) return 'malformed'
  const { primaryUntilMs, clusters, writtenUntilMs } = parts.claims
  const pin = pinOfParts(primaryUntilMs, clusters, Date.now(), writtenUntilMs)
  return pin === undefined ? 'expired' : { ...parts, pin: pinAtMostADay(pin) }
}

/** Whether a token was signed with one of the secrets. If there are no secrets, no token needs a signature. */
export function hasRightSignature(token: ReadToken, settings: TokenSettings): boolean {
  return settings.keys.length === 0 || isSignedByOne(token, keysOf(token, settings), settings)
}

/**
 * The keys that can have signed a token, by the key id in the token and the one in the name of its cookie (empty for
 * none). If there is no such key, the signature is wrong, and need not be computed.
 */
export function keysOf(token: ReadToken, { keys }: TokenSettings, ofCookie = ''): readonly SigningKey[] {
  if (token.signature === undefined) return NO_KEYS
  if (token.keyId === undefined && ofCookie === '') return keys
  return keys.filter(({ id }) => (token.keyId ?? id) === id && (ofCookie === '' || ofCookie === id))
}

/** Whether a token was signed with one of these keys. */
export function isSignedByOne(
  { text, signature = '' }: ReadToken,
  keys: readonly SigningKey[],
  { cookieName }: TokenSettings,
): boolean {
  return keys.some((key) => isSignedBy(key, text, cookieName, signature))
}

const NO_KEYS: readonly SigningKey[] = []

/**
 * The pin of a token, for as long as it is honoured. A signed pin lasts as long as it claims: it may come from a
 * process whose pins last longer, or from `capturePin({ seconds })`. But a client can write an unsigned pin by
 * itself. So without a secret, a pin that lasts longer than pins here do, and longer than clocks can explain, is cut
 * to `pinningSeconds` from now on.
 */
export function believedPin({ pin }: ReadToken, { keys, pinningSeconds }: TokenSettings): Pin {
  if (keys.length > 0) return pin
  const untilMs = Date.now() + pinningSeconds * 1000
  return pin.untilMs > untilMs + CLOCK_DIFFERENCE_MS ? pinAtMostUntil(pin, untilMs) : pin
}

/** The longest token, in characters: the claims of as many clusters as a pin can hold, and a signature. */
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

/**
 * Makes what the contexts of a plugin, or of `runWithPin()`, need to read and write tokens and to raise pins of
 * accounts. The secrets are not visible in it.
 */
export function pinCodec(tokens: TokenSettings, store: AccountStore | undefined): PinCodec {
  // A token that the application handed on may last longer than one from a user agent, signed or not.
  const handedOn = { ...tokens, pinningSeconds: MAX_PINNING_SECONDS }
  return {
    encode: (pin) => encodeToken(pin, tokens),
    read: (token) => {
      const read = readToken(token)
      if (typeof read === 'string') return read
      return hasRightSignature(read, tokens) ? believedPin(read, handedOn) : 'bad-signature'
    },
    isSigned: tokens.keys.length > 0,
    withCookieName: (cookieName) => pinCodec({ ...tokens, cookieName }, store),
    raiseAccount: store && ((account, pin) => store.raise(account, pin).answer),
  }
}
