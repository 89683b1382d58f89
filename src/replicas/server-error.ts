/**
 * Whether an error is the server's own refusal of a statement, so that the statement, outside a transaction,
 * had no effect. Any other error (a lost connection, a time-out) leaves its outcome unknown.
 *
 * The codes are those of https://www.postgresql.org/docs/current/errcodes-appendix.html: class 08 is about the
 * connection, 57P01 to 57P03 about a server that goes down, 40003 says itself that the completion is unknown.
 */
export function isRefusal(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('severity' in error))
    return false
  const { code, severity } = error
  if (typeof code !== 'string' || !SQLSTATE.test(code) || severity !== 'ERROR') return false
  return !code.startsWith('08') && !code.startsWith('57P') && code !== '40003'
}

const SQLSTATE = /^[0-9A-Z]{5}$/
