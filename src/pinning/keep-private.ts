import type { ServerResponse } from 'node:http'

/**
 * Keeps shared caches from storing a response, because they would give its pin to other users (RFC 9111, 7.3). Gives
 * the names of the headers that allowed storing, for a warning. Headers that are set later are not seen here.
 */
export function keepPrivate(response: ServerResponse): readonly string[] {
  const publicHeaders: string[] = []
  // First the headers that are meant for some caches only. Such a cache obeys them before `Cache-Control` (RFC 9213,
  // 2.2).
  for (const name of response.getHeaderNames()) {
    if (takeBack(response, name)) publicHeaders.push(name)
  }
  const directives = directivesOf(headerText(response, 'cache-control'))
  const rest = directives.filter(({ name }) => !PUBLIC.has(name))
  const isPrivate = keepsSharedCachesOut(directives)
  if (isPrivate && rest.length === directives.length) return publicHeaders
  const wasPublic =
    directives.length > 0 && !isPrivate && (rest.length < directives.length || !hasBare(rest, 'no-cache'))
  if (wasPublic) publicHeaders.unshift('cache-control')
  response.setHeader(
    'cache-control',
    isPrivate ? listOf(rest) : listOf([PRIVATE, ...rest.filter(isNotPrivate)]),
  )
  return publicHeaders
}

/** Removes or replaces a header that lets some caches store the response. Gives whether it was such a header. */
function takeBack(response: ServerResponse, name: string): boolean {
  if (name === 'x-accel-expires') {
    if (headerText(response, name).trim() === '0') return false
    response.removeHeader(name)
    return true
  }
  if (!name.endsWith('-cache-control') && !SURROGATES.has(name)) return false
  const directives = directivesOf(headerText(response, name))
  if (keepsSharedCachesOut(directives)) return false
  const others = SURROGATES.has(name) ? directives.filter((each) => PROCESSING.has(each.name)) : []
  // Without this header, those caches obey `Cache-Control`.
  if (others.length === 0) response.removeHeader(name)
  else response.setHeader(name, listOf([NO_STORE, ...others]))
  return others.length < directives.length && !hasBare(directives, 'no-cache')
}

/** Headers for the surrogates of Fastly, Varnish and Akamai. They are not lists of RFC 9213. */
const SURROGATES = new Set(['surrogate-control', 'edge-control'])
/** Their directives about how a surrogate processes the response, not about storing it. */
const PROCESSING = new Set(['content', 'dca'])
/** Directives that have no meaning beside `private`. */
const PUBLIC = new Set(['public', 's-maxage'])

interface Directive {
  readonly name: string
  readonly text: string
}

const PRIVATE: Directive = { name: 'private', text: 'private' }
const NO_STORE: Directive = { name: 'no-store', text: 'no-store' }

/** Also false for `private="x"`, which names fields and lets caches store the rest. */
function isNotPrivate({ name }: Directive): boolean {
  return name !== 'private'
}

/**
 * Whether shared caches store nothing. Beside `must-understand`, a cache that understands the status ignores
 * `no-store`.
 */
function keepsSharedCachesOut(directives: readonly Directive[]): boolean {
  // Of several `private` directives, the first one counts.
  if (directives.find(({ name }) => name === 'private')?.text.length === PRIVATE.text.length) return true
  return hasBare(directives, 'no-store') && !hasBare(directives, 'must-understand')
}

function hasBare(directives: readonly Directive[], wanted: string): boolean {
  return directives.some(({ name, text }) => name === wanted && text.length === name.length)
}

function listOf(directives: readonly Directive[]): string {
  return directives.map(({ text }) => text).join(', ')
}

/** The text of a header. An array stands for several lines of one list. */
function headerText(response: ServerResponse, name: string): string {
  return String(response.getHeader(name) ?? '')
}

/** The directives of a list (RFC 9111, 5.2): separated by commas, except within a quoted string. */
function directivesOf(list: string): Directive[] {
  const directives: Directive[] = []
  let begin = 0
  let isQuoted = false
  for (let at = 0; at <= list.length; at++) {
    const character = list[at]
    if (character === '"') isQuoted = !isQuoted
    else if (isQuoted && character === '\\') at++
    if (at < list.length && (isQuoted || character !== ',')) continue
    const text = list.slice(begin, at).trim()
    begin = at + 1
    if (text === '') continue
    const [name = ''] = text.split('=', 1)
    directives.push({ name: name.trim().toLowerCase(), text })
  }
  return directives
}
