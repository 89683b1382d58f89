/**
 * Whether an error is the server's own refusal of a statement, so that the statement, outside a transaction,
 * had no effect. Any other error (a lost connection, a time-out) leaves its outcome unknown.
 *
 * The codes are those of https://www.postgresql.org/docs/current/errcodes-appendix.html: class 08 is about the
 * connection, 57P01 to 57P03 about a server that goes down, 25P03 and 25P04 about a
 * session that was idle or busy for too long, 40003 says itself that the completion is unknown.
 */
export function isRefusal(error: unknown): boolean {
  if (!isServerError(error)) return false
  const { code, severity } = error
  // The server writes its severities in its own language; those of a session that it ends have codes of their own.
  if (!SQLSTATE.test(code) || severity === 'FATAL' || severity === 'PANIC') return false
  return !code.startsWith('08') && !code.startsWith('57P') && !UNKNOWN_OUTCOME.has(code)
}

const SQLSTATE = /^[0-9A-Z]{5}$/
const UNKNOWN_OUTCOME = new Set(['40003', '25P03', '25P04'])

/** Whether an error is one that the server sent, and none of this side's. */
export function isServerError(error: unknown): error is { code: string; severity: unknown } {
  if (typeof error !== 'object' || error === null) return false
  return 'severity' in error && 'code' in error && typeof error.code === 'string'
}
