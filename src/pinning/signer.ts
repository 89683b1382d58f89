import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type OptionReader, wrongOption } from '../options.ts'

/** A secret, and the short id by which a token names it. */
export interface SigningKey {
  readonly id: string
  readonly secret: string
}

/** The length of a key's id, in characters. */
export const KEY_ID_LENGTH = 3

/** The keys of these secrets: the first signs, all verify. */
export function signingKeys(secrets: readonly string[]): readonly SigningKey[] {
  return secrets.map((secret) => ({ id: keyId(secret), secret }))
}

/**
 * Signs a text for a cookie of that name, with HMAC-SHA-256 in base64url. The signature covers the name, so a value
 * that was signed for another cookie is not accepted.
 */
export function sign(text: string, cookieName: string, key: SigningKey): string {
  return createHmac('sha256', key.secret).update(`write-pinning\0${cookieName}\0${text}`).digest('base64url')
}

/** Whether the signature of a text is right. It is compared as text, because two texts can stand for the same bytes. */
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

const MIN_SECRET_LENGTH = 32
const A_SECRET = `a string of ${MIN_SECRET_LENGTH} characters or more`

interface SecretOption {
  secret?: string | readonly string[] | undefined
}

/** The secrets that sign tokens: the first signs, all verify. Empty if the option is left out. */
export function secretsOption({ where, given: options }: OptionReader<SecretOption>): readonly string[] {
  if (!('secret' in options)) return []
  const given = options.secret
  if (!Array.isArray(given)) return [oneSecret(`${where}: \`secret\``, given)]
  if (given.length === 0) {
    throw wrongOption(
      `${where}: \`secret\` must be ${A_SECRET}, or an array of at least one such, and got an empty array.`,
    )
  }
  return Array.from(given, (each, index) => oneSecret(`${where}: \`secret[${index}]\``, each))
}

/** Checks one secret. No error shows the value: a text that is too short may still be a real secret. */
function oneSecret(where: string, given: unknown): string {
  // `secret: undefined` usually means that an environment variable is not set.
  if (given === undefined || given === null || given === '') {
    throw wrongOption(
      `${where} is ${given === '' ? 'an empty string' : given}. Is the environment variable set? ` +
        'Pins that nobody signs must be a choice: leave the option out for them.',
    )
  }
  if (typeof given !== 'string') {
    const kind = typeof given
    throw wrongOption(`${where} must be ${A_SECRET}, and got ${kind === 'object' ? 'an' : 'a'} ${kind}.`)
  }
  if (given.length < MIN_SECRET_LENGTH) {
    throw wrongOption(`${where} must be ${A_SECRET}, and got one of ${given.length}.`)
  }
  return given
}
