/**
 * What a node's error means, in one table: by its code, or by its message if it has no code. Everything that is known
 * of error codes and of `pg`'s errors is in this file
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */

/** What an error says about the node, the statement, or both. */
export type Failure =
  | 'misrouted' // a replica refused what only the primary can do, or what it may not have replayed yet
  | 'conflict' // the replica cancelled a read that blocked its replay
  | 'lost' // the connection was lost or refused, or the server is going down or coming up
  | 'never-sent' // the connection was dead before the statement was handed to it
  | 'overload' // no connection was free in time: the node is not dead, and is not ejected
  | 'misconfigured' // a wrong password, user or database
  | 'other' // the statement's own fault, a cancel or a timeout: the caller gets the error

/** Why a server refused a statement. This shows which node can run it. */
export type Refusal =
  | 'read-only' // a hot standby or a read-only session refused it: the statement writes, or counts as a write
  | 'recovery' // only a server that is not in recovery can do it
  | 'undefined-object' // an object is missing: this replica may not have replayed its migration yet

/** What one error means. */
export interface Meaning {
  readonly failure: Failure
  /**
   * Why a replica refused the statement; undefined if every server would refuse it. In all these cases the statement
   * had no effect (https://www.postgresql.org/docs/current/hot-standby.html).
   */
  readonly refusal: Refusal | undefined
  /**
   * Whether the server itself refused the statement. Outside a transaction it then had no effect. After any other
   * error (a lost connection, a timeout) its outcome is unknown.
   */
  readonly isRefusal: boolean
}

/** Reads an error that a node gave to a connect or to a statement. */
export function meaningOf(error: unknown): Meaning {
  const known = knownOf(error)
  return { failure: known.failure, refusal: known.refusal, isRefusal: isOfServer(error, known) }
}

/** See {@link Meaning.failure}. */
export function failureOf(error: unknown): Failure {
  return meaningOf(error).failure
}

/** See {@link Meaning.refusal}. */
export function refusalOf(error: unknown): Refusal | undefined {
  return meaningOf(error).refusal
}

/** See {@link Meaning.isRefusal}. */
export function isRefusal(error: unknown): boolean {
  return meaningOf(error).isRefusal
}

/** Whether a session refused the settings that were sent to it. A cancel or a lost connection is no such refusal. */
export function refusesSettings(error: unknown): boolean {
  const { failure, isRefusal } = meaningOf(error)
  const wasCancelled = isServerError(error) && error.code === '57014'
  return isRefusal && !wasCancelled && (failure === 'other' || failure === 'misrouted')
}

/** Whether the server sent this error; otherwise it comes from this side. */
export function isServerError(error: unknown): error is { code: string; severity: unknown } {
  if (typeof error !== 'object' || error === null) return false
  return 'severity' in error && 'code' in error && typeof error.code === 'string'
}

/**
 * Whether a statement with function calls may have left something in the session of the replica that refused it. A
 * missing object is noticed before anything runs, unless it is in the body of a function: then the server's error has
 * a `where`.
 */
export function mayHaveRun(error: unknown): boolean {
  const refusal = refusalOf(error)
  if (refusal !== 'undefined-object') return refusal !== undefined
  return (error as GivenError).where !== undefined
}

/**
 * What was refused, in words for a human. The server's own message may hold values of the statement, so it is not
 * used.
 */
export function whatIsRefused(error: unknown): string {
  return knownOf(error).words ?? 'what only the primary can do'
}

/**
 * Whether a server refused a statement because it is in recovery. The primary would take that statement in the same
 * kind of transaction. Messages are translated. In another language, only the place in the server's source (`routine`)
 * shows it.
 */
export function isOfRecovery(error: unknown): boolean {
  if (refusalOf(error) !== 'read-only' && refusalOf(error) !== 'recovery') return false
  const { message, hint, routine } = error as GivenError
  return RECOVERY_ROUTINES.has(String(routine)) || /\brecovery\b|hot standby/i.test(`${message} ${hint}`)
}

// The routines in the server's source. The first one refuses everything that only a primary can do. The second one
// refuses an unlogged table, when a query is planned.
const RECOVERY_ROUTINES: ReadonlySet<string> = new Set(['PreventCommandDuringRecovery', 'get_relation_info'])

/**
 * Whether a hot standby refused a statement because its session is serializable by default, and not because the
 * statement asks for it.
 */
export function refusesSerializable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  // The message is translated, so the routine decides.
  const { code, routine } = error as GivenError
  return (
    code === '0A000' &&
    typeof routine === 'string' &&
    routine.startsWith('GetSerializableTransactionSnapshot')
  )
}

/**
 * Whether a pooler refused a connection because of its start-up options. PgBouncer has one code for nearly all its
 * errors, overload included, so the message decides. The code of RDS Proxy is 0A000.
 */
export function refusesOptions(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { code, message } = error as GivenError
  if (code !== '08P01' && code !== '0A000') return false
  return /start-?up parameter|command-line option/i.test(String(message))
}

/** The part of an error that is read here. */
interface GivenError {
  readonly code?: unknown
  readonly message?: unknown
  readonly hint?: unknown
  readonly routine?: unknown
  readonly where?: unknown
}

/** What the table knows of an error. */
interface Known {
  readonly failure: Failure
  readonly refusal?: Refusal
  /** What is missing, in words for a human. */
  readonly words?: string
  /** Whether the statement may have had its effect, even if the server sent the error. */
  readonly isOutcomeUnknown?: true
}

function knownOf(error: unknown): Known {
  if (typeof error !== 'object' || error === null) return OTHER
  const { code, message } = error as GivenError
  if (typeof code === 'string') {
    const known = CODES.get(code) ?? CODES.get(code.slice(0, 3)) ?? CODES.get(code.slice(0, 2))
    if (known !== undefined) return typeof known === 'function' ? known(error) : known
    if (SQLSTATE.test(code)) return OTHER
  }
  return MESSAGES.get(String(message)) ?? OTHER
}

function isOfServer(error: unknown, { isOutcomeUnknown }: Known): boolean {
  if (!isServerError(error) || isOutcomeUnknown) return false
  const { code, severity } = error
  // Severities are translated, so this check can miss some. Errors that end a session have entries of their own in
  // the table.
  return SQLSTATE.test(code) && severity !== 'FATAL' && severity !== 'PANIC'
}

/**
 * PgBouncer has one code for nearly all its errors, so the message decides (https://www.pgbouncer.org/config.html).
 */
function poolerError({ message, routine, severity }: GivenError & { readonly severity?: unknown }): Known {
  const words = String(message)
  // PostgreSQL's own error, about one message: a text has a zero byte in it, or there are more or fewer values than
  // parameters. The session goes on.
  if (severity === 'ERROR' && routine !== undefined) return OTHER
  if (words.startsWith('bind message supplies')) return UNKNOWN_OUTCOME
  if (/no more connections allowed|query_wait_timeout|too many/i.test(words)) {
    return { failure: 'overload', isOutcomeUnknown: true }
  }
  if (/auth|no such (?:user|database)/i.test(words)) {
    return { failure: 'misconfigured', isOutcomeUnknown: true }
  }
  return LOST_BY_SERVER
}

/**
 * XX000 is any internal error. Those that count here mention recovery (before PostgreSQL 16, a large object is
 * refused so). Internal messages are never translated.
 */
function internalError({ message }: GivenError): Known {
  return /recovery/i.test(String(message)) ? READ_ONLY : OTHER
}

/** Any malformed value has this code, and the primary refuses it too. Only an enum may have more labels there. */
function malformedValue({ routine }: GivenError): Known {
  const isOfEnum = typeof routine === 'string' && routine.startsWith('enum_')
  return isOfEnum ? missing('a label of an enum is missing') : OTHER
}

function missing(words: string): Known {
  return { failure: 'misrouted', refusal: 'undefined-object', words }
}

const SQLSTATE = /^[0-9A-Z]{5}$/

const OTHER: Known = { failure: 'other' }
const LOST: Known = { failure: 'lost' }
const CONFLICT: Known = { failure: 'conflict' }
const OVERLOAD: Known = { failure: 'overload' }
const MISCONFIGURED: Known = { failure: 'misconfigured' }
const NEVER_SENT: Known = { failure: 'never-sent' }
const READ_ONLY: Known = { failure: 'misrouted', refusal: 'read-only' }
const RECOVERY: Known = { failure: 'misrouted', refusal: 'recovery' }
const LOST_BY_SERVER: Known = { failure: 'lost', isOutcomeUnknown: true }
const UNKNOWN_OUTCOME: Known = { failure: 'other', isOutcomeUnknown: true }

/**
 * The key is a whole code, its first three characters, or its class, which is the first two. The longest one counts.
 */
const CODES = new Map<string, Known | ((error: GivenError) => Known)>([
  ['25006', READ_ONLY], // read_only_sql_transaction
  ['XX000', internalError],
  ['0A000', RECOVERY], // feature_not_supported
  ['55000', RECOVERY], // object_not_in_prerequisite_state
  ['42P01', missing('a table or view is missing')],
  ['42703', missing('a column is missing')],
  ['42704', missing('a type or another object is missing')],
  ['42883', missing('a function is missing')],
  ['3F000', missing('a schema is missing')],
  ['42501', missing('a right is missing')], // a migration may grant it
  ['22P02', malformedValue],
  // Recovery conflicts, and the deadlock that a waiting replay is part of. PostgreSQL uses these related codes for
  // them, and has none of their own.
  ['40001', CONFLICT],
  ['40P01', CONFLICT],
  // The server goes down, comes up, or ends the session.
  ['57P01', LOST_BY_SERVER], // admin_shutdown
  ['57P02', LOST_BY_SERVER], // crash_shutdown
  ['57P03', LOST_BY_SERVER], // cannot_connect_now
  ['57P05', LOST_BY_SERVER], // idle_session_timeout
  ['57P', UNKNOWN_OUTCOME],
  ['08P01', poolerError],
  ['08', LOST_BY_SERVER], // connection exceptions
  // The session was idle or busy for too long. 40003 itself says that the completion is unknown.
  ['25P03', UNKNOWN_OUTCOME],
  ['25P04', UNKNOWN_OUTCOME],
  ['40003', UNKNOWN_OUTCOME],
  ['53300', OVERLOAD], // too_many_connections
  ['28', MISCONFIGURED],
  ['3D000', MISCONFIGURED],
  ['ERR_WRITE_PINNING_CREDENTIALS', MISCONFIGURED],
  ['ERR_WRITE_PINNING_NODE_UNAVAILABLE', LOST], // the node was ejected
  // Errors of the operating system about a socket, or of the resolver about a name.
  ['ECONNREFUSED', LOST],
  ['ECONNRESET', LOST],
  ['ECONNABORTED', LOST],
  ['EPIPE', LOST],
  ['ETIMEDOUT', LOST],
  ['EHOSTUNREACH', LOST],
  ['EHOSTDOWN', LOST],
  ['ENETUNREACH', LOST],
  ['ENETDOWN', LOST],
  ['EADDRNOTAVAIL', LOST],
  ['ENOENT', LOST], // the socket of a server on this host
  ['ENOTFOUND', LOST],
  ['EAI_AGAIN', LOST],
])

// `pg` and `pg-pool` give these errors no code.
const MESSAGES = new Map<string, Known>([
  ['Connection terminated unexpectedly', LOST],
  ['Connection terminated', LOST],
  ['Connection terminated due to connection timeout', LOST],
  ['timeout expired', LOST],
  ['Client has encountered a connection error and is not queryable', NEVER_SENT],
  ['Client was closed and is not queryable', NEVER_SENT],
  ['timeout exceeded when trying to connect', OVERLOAD],
])
