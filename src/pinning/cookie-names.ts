import { KEY_ID_LENGTH, type SigningKey } from './signer.ts'

/** The default name of the cookie. With a secret, the default name begins with it. */
export const DEFAULT_COOKIE_NAME = 'write_pin'

/**
 * The name of the cookie in a response. With a secret, and unless the application chose a name, it ends with the id
 * of the first key: two applications on one host must not overwrite each other's cookie.
 */
export function cookieNameOf(name: string, isChosen: boolean, keys: readonly SigningKey[]): string {
  const [key] = keys
  return isChosen || key === undefined ? name : `${name}_${key.id}`
}

/**
 * The name of the cookie for what was only read (`monotonicReads`). It has its own name because the response of a
 * read may arrive after that of a later write. With the same name, its older position would replace that of the
 * write. All cookies are merged when they are read.
 */
export function seenCookieNameOf(name: string): string {
  return name + SEEN
}

const SEEN = '_seen'

/**
 * The id of the key in the name of a request's cookie. Undefined if the cookie is not ours. Empty if its name has no
 * key id: the process has no secret, or the application chose the name.
 */
export function keyIdOfCookie(name: string, cookieName: string): string | undefined {
  const written = name.endsWith(SEEN) ? name.slice(0, -SEEN.length) : name
  if (name === cookieName || written === cookieName) return ''
  if (cookieName !== DEFAULT_COOKIE_NAME || written.length !== NAMED_LENGTH) return undefined
  return written.startsWith(NAMED) ? written.slice(NAMED.length) : undefined
}

const NAMED = `${DEFAULT_COOKIE_NAME}_`
const NAMED_LENGTH = NAMED.length + KEY_ID_LENGTH
