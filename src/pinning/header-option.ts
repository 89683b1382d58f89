import { nameError, type OptionReader } from '../options.ts'

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/ // a token of RFC 9110, 5.6.2

/** The name of the header that carries tokens, in lower case, as Node.js gives the names of request headers. */
export function headerOption(read: OptionReader<{ header?: string }>): string | undefined {
  const expected =
    "the name of a header of its own, such as 'x-write-pin', and none that has a meaning already"
  return read.value('header', undefined, isFreeName, expected, nameError)?.toLowerCase()
}

function isFreeName(value: unknown): value is string {
  return typeof value === 'string' && HEADER_NAME.test(value) && !isTaken(value.toLowerCase())
}

/** Whether a name already has a meaning to a browser, a cache, a proxy or a server. */
function isTaken(name: string): boolean {
  const begins = TAKEN_BEGINNINGS.some((each) => name.startsWith(each))
  return begins || TAKEN.has(name) || name.endsWith('cache-control')
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

const TAKEN_BEGINNINGS = words(`
  accept access-control- alt- content- cross-origin- if- proxy- sec- surrogate-
  x-accel- x-content-type- x-forwarded- x-original- x-permitted- x-rewrite-
`)

const TAKEN = new Set([
  // RFC 9110, 9111, 9112 and 6265
  ...words(`
    age allow authentication-info authorization connection cookie date etag expect expires from host http2-settings
    keep-alive last-modified link location max-forwards pragma range referer refresh retry-after server set-cookie te
    trailer transfer-encoding upgrade user-agent vary via warning www-authenticate
  `),
  // Headers that browsers obey, beside those with the beginnings above
  ...words(`
    clear-site-data expect-ct nel origin origin-agent-cluster permissions-policy public-key-pins referrer-policy report-to
    reporting-endpoints server-timing service-worker-allowed sourcemap strict-transport-security timing-allow-origin
    upgrade-insecure-requests x-dns-prefetch-control x-frame-options x-xss-protection
  `),
  // Headers that proxies, caches and servers obey
  ...words(`
    edge-control forwarded traceparent tracestate true-client-ip x-client-ip x-http-method x-http-method-override
    x-method-override x-real-ip x-request-id x-sendfile
  `),
])
