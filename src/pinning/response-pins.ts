import type { ServerResponse } from 'node:http'
import { type SentToken, tokensOfHeader } from './carried-pin.ts'
import type { CookieSettings } from './cookie-options.ts'

/** What a response carries of ours, or of processes like ours, as its headers are about to leave. */
export interface PinsOfResponse {
  /** The tokens of the cookies of our name, and of our header. */
  readonly tokens: readonly SentToken[]
  /** How many of the cookies, or of the values of the header, would overwrite one another. */
  readonly copies: number
  /** The `Set-Cookie` headers that stay beside ours: those that ours does not overwrite. */
  readonly others: readonly string[]
}

/**
 * Finds the pins that a response carries already: a gateway passes on those of an upstream, or a second plugin has set one. A user
 * agent keeps one cookie of a name, path and domain, the last, so of two that leave, one write would be lost.
 */
export function pinsOfResponse(
  response: ServerResponse,
  cookie: CookieSettings,
  header: string | undefined,
): PinsOfResponse {
  const tokens: SentToken[] = []
  const others: string[] = []
  let overwritten = 0
  for (const text of textsOf(response.getHeader('set-cookie'))) {
    const value = tokenOf(text, cookie.name)
    if (value !== undefined) tokens.push({ text: value, keyId: '' })
    if (value !== undefined && isOverwritten(text, cookie)) overwritten++
    else others.push(text)
  }
  const ofHeader = header === undefined ? [] : tokensOfHeader(textsOf(response.getHeader(header)).join())
  return { tokens: [...tokens, ...ofHeader], copies: Math.max(overwritten, ofHeader.length), others }
}

function textsOf(header: number | string | readonly string[] | undefined): string[] {
  return header === undefined ? [] : [header].flat().map(String)
}

/** The value of a `Set-Cookie` header of that name; undefined for one of another name. */
function tokenOf(text: string, name: string): string | undefined {
  const [pair = ''] = text.split(';', 1)
  const equals = pair.indexOf('=')
  return equals !== -1 && pair.slice(0, equals).trim() === name ? pair.slice(equals + 1).trim() : undefined
}

/**
 * Whether a user agent puts ours in its place (RFC 6265, 5.3). Of one without a path nobody knows here; so it stays, and ours comes
 * after it.
 */
function isOverwritten(text: string, { path, domain, partitioned }: CookieSettings): boolean {
  const attributes = new Map<string, string>()
  for (const each of text.split(';').slice(1)) {
    const [key = '', value = ''] = each.split(/=(.*)/s)
    attributes.set(key.trim().toLowerCase(), value.trim())
  }
  return (
    attributes.get('path') === path &&
    hostOf(attributes.get('domain')) === hostOf(domain) &&
    attributes.has('partitioned') === partitioned
  )
}

function hostOf(domain: string | undefined): string {
  return (domain ?? '').replace(/^\./, '').toLowerCase()
}
