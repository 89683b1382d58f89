import type { ServerResponse } from 'node:http'

/**
 * Keeps shared caches from storing a response, because they would hand what it carries to everybody (RFC 9111, 7.3). Gives the names
 * of the headers that let them, for a warning. What is set later cannot be seen here.
 */
export function keepPrivate(response: ServerResponse): readonly string[] {
  const publicHeaders: string[] = []
  // Those come first that a cache they are meant for obeys before `Cache-Control` (RFC 9213, 2.2).
  for (const name of response.getHeaderNames()) {
    if (takeBack(response, name)) publicHeaders.push(name)
  }
  const directives = directivesOf(headerText(response, 'cache-control'))
  const rest = directives.filter(({ name }) => !PUBLIC.has(name))
  const isPrivate = isClosed(directives)
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

/** Takes back a header that lets the caches store the response that it is meant for; whether it did let them. */
function takeBack(response: ServerResponse, name: string): boolean {
  if (name === 'x-accel-expires') {
    if (headerText(response, name).trim() === '0') return false
    response.removeHeader(name)
    return true
  }
  if (!name.endsWith('-cache-control') && !SURROGATES.has(name)) return false
  const directives = directivesOf(headerText(response, name))
  if (isClosed(directives)) return false
  const others = SURROGATES.has(name) ? directives.filter((each) => PROCESSING.has(each.name)) : []
  // Without it, `Cache-Control` is what they obey.
  if (others.length === 0) response.removeHeader(name)
  else response.setHeader(name, listOf([NO_STORE, ...others]))
  return others.length < directives.length && !hasBare(directives, 'no-cache')
}

/** Those of surrogates that are no list of RFC 9213, of Fastly, Varnish and Akamai. */
const SURROGATES = new Set(['surrogate-control', 'edge-control'])
/** What they say of how a surrogate works on the response, and not of storing it. */
const PROCESSING = new Set(['content', 'dca'])
/** What has no meaning beside `private`. */
const PUBLIC = new Set(['public', 's-maxage'])

interface Directive {
  readonly name: string
  readonly text: string
}

const PRIVATE: Directive = { name: 'private', text: 'private' }
const NO_STORE: Directive = { name: 'no-store', text: 'no-store' }

/** One that names fields (`private="x"`) lets caches store the rest. */
function isNotPrivate({ name }: Directive): boolean {
  return name !== 'private'
}

/** Whether shared caches store nothing. A cache that understands the status ignores `no-store` beside `must-understand`. */
function isClosed(directives: readonly Directive[]): boolean {
  // Of several, the first one counts.
  if (directives.find(({ name }) => name === 'private')?.text.length === PRIVATE.text.length) return true
  return hasBare(directives, 'no-store') && !hasBare(directives, 'must-understand')
}

function hasBare(directives: readonly Directive[], wanted: string): boolean {
  return directives.some(({ name, text }) => name === wanted && text.length === name.length)
}

function listOf(directives: readonly Directive[]): string {
  return directives.map(({ text }) => text).join(', ')
}

/** A header that was given as an array is several lines of one list. */
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
