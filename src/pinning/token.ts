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

/** What a token says, before anybody knows whether its signature is right. */
export interface Claim {
  readonly pin: Pin
  readonly text: string
  readonly signature: string | undefined
}

/** Reads a token that a client sent: its claim, or why it is worth nothing. Never throws. */
export function readToken(token: string, context: TokenContext): Claim | IgnoredPinReason {
  const match = TOKEN.exec(token)
  if (match === null) return 'malformed'
  const untilMs = Number.parseInt(match[1] as string, 36)
  const nowMs = Date.now()
  if (untilMs <= nowMs) return 'expired'
  if (untilMs > nowMs + context.pinningSeconds * 1000 + CLOCK_DIFFERENCE_MS) return 'too-far-ahead'
  return { pin: { kind: 'time', untilMs }, text: `1t${match[1]}`, signature: match[2] }
}

/** Whether a claim was signed with one of the secrets; where there is none, no signature is asked for. */
export function hasRightSignature({ text, signature }: Claim, context: TokenContext): boolean {
  if (context.secrets.length === 0) return true
  if (signature === undefined) return false
  const given = Buffer.from(signature, 'base64url')
  return context.secrets.some((secret) => {
    const right = sign(text, context.cookieName, secret)
    return given.length === right.length && timingSafeEqual(given, right)
  })
}

function sign(claim: string, cookieName: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(`write-pinning\0${cookieName}\0${claim}`).digest()
}
