import { failureOf, isRefusal, isServerError } from '../nodes/error-meaning.ts'

/**
 * Whether a client of `pg` would have lost its connection with this error of a query. Then the queries after it,
 * perhaps of the same transaction, must not run.
 */
export function endsConnection(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  if (code === 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME') return true
  // Our own errors say that nothing was sent.
  if (typeof code === 'string' && code.startsWith('ERR_WRITE_PINNING')) return false
  if (isRefusal(error)) return false
  return failureOf(error) !== 'other' || (isServerError(error) && ENDED_BY_SERVER.test(error.code))
}

/** The server has ended the session, because of an administrator or a timeout. */
const ENDED_BY_SERVER = /^(?:57P|25P)/
