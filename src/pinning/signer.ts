import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** A secret, and the short name by which a token says that it was signed with it. */
export interface SigningKey {
  readonly id: string
  readonly secret: string
}

/** How long the id of a key is. */
export const KEY_ID_LENGTH = 3

/** The keys of these secrets: the first signs, all verify. */
export function signingKeys(secrets: readonly string[]): readonly SigningKey[] {
  return secrets.map((secret) => ({ id: keyId(secret), secret }))
}

/**
 * Signs a text for a cookie of that name, with HMAC-SHA-256 in base64url. The name is covered, so that a value that was
 * signed for another cookie is worth nothing.
 */
export function sign(text: string, cookieName: string, key: SigningKey): string {
  return createHmac('sha256', key.secret).update(`write-pinning\0${cookieName}\0${text}`).digest('base64url')
}

/** Whether a text was signed so; the signature is compared as text, because two texts can mean the same bytes. */
export function isSignedBy(key: SigningKey, text: string, cookieName: string, signature: string): boolean {
  const given = Buffer.from(signature)
  const right = Buffer.from(sign(text, cookieName, key))
  return given.length === right.length && timingSafeEqual(given, right)
}

function keyId(secret: string): string {
  return createHash('sha256')
    .update(`write-pinning key id\0${secret}`)
    .digest('base64url')
    .slice(0, KEY_ID_LENGTH)
}
