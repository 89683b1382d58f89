import type { SigningKey } from './signer.ts'

/** What the cookie is called where nobody says otherwise. */
export const DEFAULT_COOKIE_NAME = 'write_pin'

/** What the cookie is called in a response. */
export function cookieNameOf(name: string, _isChosen: boolean, _keys: readonly SigningKey[]): string {
  return name
}

/** Empty for a cookie of ours, by its name, and undefined for any other. */
export function keyIdOfCookie(name: string, cookieName: string): string | undefined {
  return name === cookieName ? '' : undefined
}
