import { KEY_ID_LENGTH, type SigningKey } from './signer.ts'

/** What the cookie is called where nobody says otherwise, and what the names begin with that a secret gives it. */
export const DEFAULT_COOKIE_NAME = 'write_pin'

/**
 * What the cookie is called in a response. Two applications on one host would overwrite each other's, so where there is a secret, and
 * nobody has chosen a name, it has the name of the key in it.
 */
export function cookieNameOf(name: string, isChosen: boolean, keys: readonly SigningKey[]): string {
  const [key] = keys
  return isChosen || key === undefined ? name : `${name}_${key.id}`
}

/**
 * What the cookie is called that holds what was only seen (`monotonicReads`). It has a name of its own because a read may be answered after a
 * later write of the same user agent, and must not put an older position in the place of that write's. All are merged when they are read.
 */
export function seenCookieNameOf(name: string): string {
  return name + SEEN
}

const SEEN = '_seen'

/**
 * Whose key a cookie of a request is named after, by its name: undefined where it is none of ours, and empty where its name names no
 * key, as that of a process without a secret. A name that was chosen is a name as it is.
 */
export function keyIdOfCookie(name: string, cookieName: string): string | undefined {
  const written = name.endsWith(SEEN) ? name.slice(0, -SEEN.length) : name
  if (name === cookieName || written === cookieName) return ''
  if (cookieName !== DEFAULT_COOKIE_NAME || written.length !== NAMED_LENGTH) return undefined
  return written.startsWith(NAMED) ? written.slice(NAMED.length) : undefined
}

const NAMED = `${DEFAULT_COOKIE_NAME}_`
const NAMED_LENGTH = NAMED.length + KEY_ID_LENGTH
