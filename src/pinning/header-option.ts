import { optionError } from '../options.ts'

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/ // a token of RFC 9110, 5.6.2

/** The name of the header that carries tokens, in lower case, as Node.js has those of requests. */
export function headerOption(where: string, given: unknown): string | undefined {
  if (given === undefined) return undefined
  const name = typeof given === 'string' && HEADER_NAME.test(given) ? given.toLowerCase() : undefined
  if (name !== undefined && !TAKEN.has(name)) return name
  throw optionError(where, 'header', given, "the name of a header of its own, such as 'x-write-pin'")
}

/** What has a meaning of its own to whoever reads it on the way. */
const TAKEN = new Set([
  ...['accept', 'age', 'authorization', 'cache-control', 'connection', 'content-encoding', 'content-length'],
  ...['content-type', 'cookie', 'date', 'etag', 'expires', 'host', 'keep-alive', 'last-modified', 'location'],
  ...[
    'origin',
    'referer',
    'server',
    'set-cookie',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'user-agent',
  ],
  ...['vary', 'via', 'www-authenticate'],
])
