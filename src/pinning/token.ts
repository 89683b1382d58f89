import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IgnoredPinReason } from '../diagnostics.ts'
import type { Pin } from './pin.ts'

/**
 * What a token is bound to. The signature covers the name of the cookie, so that a value signed for another
 * cookie is worth nothing here.
 */
export interface TokenContext {
  readonly cookieName: string
  /** The first signs, all verify; none where tokens are not signed. */
  readonly secrets: readonly string[]
  /** No pin is believed that claims a longer life than this. */
  readonly pinningSeconds: number
}

/** How far the clocks of two servers may differ, in ms, before a pin that one set is too far ahead for the other. */
const CLOCK_DIFFERENCE_MS = 30_000

// `1t` is version 1, time pin; then the expiry in ms, base 36; then, where there is a secret, HMAC-SHA-256.
const TOKEN = /^1t([0-9a-z]{1,11})(?:\.([\w-]{43}))?$/

/** Writes a pin down, for a cookie or a header. */
export function encodeToken(pin: Pin, context: TokenContext): string {
  const claim = `1t${pin.untilMs.toString(36)}`
  const secret = context.secrets[0]
  return secret === undefined
    ? claim
    : `${claim}.${sign(claim, context.cookieName, secret).toString('base64url')}`
}

/** Reads a token that a client sent: the pin, or why it is worth nothing. Never throws. */
export function decodeToken(token: string, context: TokenContext): Pin | IgnoredPinReason {
  const match = TOKEN.exec(token)
  if (match === null) return 'malformed'
  const untilMs = Number.parseInt(match[1] as string, 36)
  const nowMs = Date.now()
  if (untilMs <= nowMs) return 'expired'
  if (untilMs > nowMs + context.pinningSeconds * 1000 + CLOCK_DIFFERENCE_MS) return 'too-far-ahead'
  if (context.secrets.length > 0 && !isSigned(`1t${match[1]}`, match[2], context)) return 'bad-signature'
  return { kind: 'time', untilMs }
}

function isSigned(claim: string, signature: string | undefined, context: TokenContext): boolean {
  if (signature === undefined) return false
  const given = Buffer.from(signature, 'base64url')
  return context.secrets.some((secret) => {
    const right = sign(claim, context.cookieName, secret)
    return given.length === right.length && timingSafeEqual(given, right)
  })
}

function sign(claim: string, cookieName: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(`write-pinning\0${cookieName}\0${claim}`).digest()
}
