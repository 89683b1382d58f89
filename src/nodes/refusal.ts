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
  // XX000 is any internal error; the ones that are meant say that it was the recovery (before PostgreSQL 16, a large
  // object is refused so). Internal messages are never translated.
  if (code === 'XX000')
    return 'message' in error && /recovery/i.test(String(error.message)) ? 'read-only' : undefined
  // Any malformed number has this code, and would be as malformed on the primary: only an enum's labels grow.
  if (code === '22P02') return isOfEnum(error) ? 'undefined-object' : undefined
  return typeof code === 'string' && UNDEFINED_OBJECT.has(code) ? 'undefined-object' : undefined
}

/**
 * Whether a statement with calls may have left something in the session of the replica that refused it. What is unknown is
 * noticed before anything runs, unless it is in the body of a function, which the server then tells of.
 */
export function mayHaveRun(error: unknown): boolean {
  const refusal = refusalOf(error)
  if (refusal !== 'undefined-object') return refusal !== undefined
  return (error as { where?: string }).where !== undefined
}

/** What a refusal means, in words for a human: the server's own may hold values of the statement. */
export function whatIsRefused(code: string): string {
  return WORDS.get(code) ?? 'what only the primary can do'
}

function isOfEnum(error: object): boolean {
  return 'routine' in error && typeof error.routine === 'string' && error.routine.startsWith('enum_')
}

// Table, column, object, function, schema; a type is an object as well. And a privilege: a migration grants.
const UNDEFINED_OBJECT = new Set(['42P01', '42703', '42704', '42883', '3F000', '42501'])

const WORDS: ReadonlyMap<string, string> = new Map([
  ['42P01', 'a table or view is missing'],
  ['42703', 'a column is missing'],
  ['42704', 'a type or another object is missing'],
  ['42883', 'a function is missing'],
  ['3F000', 'a schema is missing'],
  ['42501', 'a right is missing'],
  ['22P02', 'a label of an enum is missing'],
])
