/** What the server's refusal of a statement says about where it belongs. */
export type Refusal =
  | 'read-only' // a hot standby, or a read-only session: the statement writes, or is as good as a write
  | 'recovery' // only a server that is not in recovery can do it
  | 'undefined-object' // it may be of a migration that this replica has not replayed yet

/**
 * Reads the refusal of a statement by a replica; undefined where it would be refused anywhere. In all these cases the
 * statement had no effect (https://www.postgresql.org/docs/current/hot-standby.html,
 * https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  const { code } = error
  if (code === '25006') return 'read-only'
  if (code === '0A000' || code === '55000') return 'recovery'
  // XX000 is any internal error; the ones that are meant say that it was the recovery.
  if (code === 'XX000')
    return 'message' in error && /recovery/i.test(String(error.message)) ? 'recovery' : undefined
  return typeof code === 'string' && UNDEFINED_OBJECT.has(code) ? 'undefined-object' : undefined
}

// Table, column, object, function, and the label of an enum; a schema and a type are objects as well.
const UNDEFINED_OBJECT = new Set(['42P01', '42703', '42704', '42883', '22P02', '3F000'])
