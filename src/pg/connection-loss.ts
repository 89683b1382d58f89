import { failureOf, isRefusal, isServerError } from '../nodes/error-meaning.ts'

/**
 * Whether an error with which a query has failed is one after which a client of `pg`'s has no connection: what was to follow the query, a
 * transaction perhaps, must not run without it.
 */
export function endsConnection(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  if (code === 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME') return true
  // Its own errors say that nothing was sent.
  if (typeof code === 'string' && code.startsWith('ERR_WRITE_PINNING')) return false
  if (isRefusal(error)) return false
  return failureOf(error) !== 'other' || (isServerError(error) && ENDED_BY_SERVER.test(error.code))
}

/** An administrator, or a time-out of the server's, has ended the session. */
const ENDED_BY_SERVER = /^(?:57P|25P)/
