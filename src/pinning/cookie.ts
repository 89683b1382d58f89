import type { IgnoredPinReason } from '../diagnostics.ts'
import type { Pin } from './pin.ts'
import { decodeToken, type TokenContext } from './token.ts'

/**
 * The strongest valid pin among all copies of the cookie in a `Cookie` header: where several domains or
 * paths set it, the user agent sends it more than once, in an order that says nothing (RFC 6265, 5.4).
 */
export function pinOfCookies(
  header: string | undefined,
  context: TokenContext,
  onIgnored: (reason: IgnoredPinReason) => void,
): Pin | undefined {
  if (header === undefined || !header.includes(context.cookieName)) return undefined
  let strongest: Pin | undefined
  for (const token of valuesOfCookie(header, context.cookieName)) {
    const pin = decodeToken(token, context)
    if (typeof pin === 'string') onIgnored(pin)
    else if (strongest === undefined || pin.untilMs > strongest.untilMs) strongest = pin
  }
  return strongest
}

// Cookie parsers give one copy of each name; all are wanted here. A token needs no decoding.
function valuesOfCookie(header: string, name: string): Set<string> {
  const values = new Set<string>()
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.add(pair.slice(equals + 1).trim())
  }
  return values
}
