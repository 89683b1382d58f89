import { nameError } from '../options.ts'

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/ // a token of RFC 9110, 5.6.2

/** The name of the header that carries tokens, in lower case, as Node.js has those of requests. */
export function headerOption(where: string, given: unknown): string | undefined {
  if (given === undefined) return undefined
  const name = typeof given === 'string' && HEADER_NAME.test(given) ? given.toLowerCase() : undefined
  if (name !== undefined && !isTaken(name)) return name
  throw nameError(
    where,
    'header',
    given,
    "the name of a header of its own, such as 'x-write-pin', and none that has a meaning already",
  )
}

/** Whether a name has a meaning of its own to whoever reads it on the way: a browser, a cache, a proxy, a server. */
function isTaken(name: string): boolean {
  return (
    TAKEN.has(name) ||
    TAKEN_BEGINNINGS.some((each) => name.startsWith(each)) ||
    name.endsWith('cache-control')
  )
}

const TAKEN_BEGINNINGS = [
  ...[
    'accept',
    'access-control-',
    'alt-',
    'content-',
    'cross-origin-',
    'if-',
    'proxy-',
    'sec-',
    'surrogate-',
  ],
  ...['x-accel-', 'x-content-type-', 'x-forwarded-', 'x-original-', 'x-permitted-', 'x-rewrite-'],
]

const TAKEN = new Set([
  // RFC 9110, 9111, 9112 and 6265
  ...[
    'age',
    'allow',
    'authentication-info',
    'authorization',
    'connection',
    'cookie',
    'date',
    'etag',
    'expect',
  ],
  ...['expires', 'from', 'host', 'http2-settings', 'keep-alive', 'last-modified', 'link', 'location'],
  ...['max-forwards', 'pragma', 'range', 'referer', 'refresh', 'retry-after', 'server', 'set-cookie', 'te'],
  ...['trailer', 'transfer-encoding', 'upgrade', 'user-agent', 'vary', 'via', 'warning', 'www-authenticate'],
  // What browsers obey, beside those of a beginning above
  ...['clear-site-data', 'expect-ct', 'nel', 'origin', 'origin-agent-cluster', 'permissions-policy'],
  ...['public-key-pins', 'referrer-policy', 'report-to', 'reporting-endpoints', 'server-timing'],
  ...['service-worker-allowed', 'sourcemap', 'strict-transport-security', 'timing-allow-origin'],
  ...['upgrade-insecure-requests', 'x-dns-prefetch-control', 'x-frame-options', 'x-xss-protection'],
  // What proxies, caches and servers obey
  ...[
    'edge-control',
    'forwarded',
    'traceparent',
    'tracestate',
    'true-client-ip',
    'x-client-ip',
    'x-http-method',
  ],
  ...['x-http-method-override', 'x-method-override', 'x-real-ip', 'x-request-id', 'x-sendfile'],
])
