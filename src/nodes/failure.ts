import { refusalOf } from './refusal.ts'

/** What an error of a node's says about the node, the statement, or both. */
export type Failure =
  | 'misrouted' // a replica refused what only the primary does, or what it may not know of yet
  | 'conflict' // the replica cancelled a read that stood in the way of its replay
  | 'lost' // the connection was lost or refused, or the server goes down or comes up
  | 'never-sent' // the connection was dead before the statement was handed to it
  | 'overload' // no connection was free in time: not death, and no reason to eject
  | 'misconfigured' // a wrong password, user or database
  | 'other' // the statement's own fault, a cancel or a time-out: it surfaces

/**
 * Reads an error that a node gave, when connecting or for a statement. All that is known of error codes and of `pg`'s
 * errors, several of which have no code, stands here and in `refusal.ts`
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
export function failureOf(error: unknown): Failure {
  if (typeof error !== 'object' || error === null) return 'other'
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (typeof code === 'string') {
    const known = CODES.get(code) ?? CODES.get(code.slice(0, 2))
    if (known !== undefined) return known
    if (code === '08P01') return failureOfPooler(String(message))
    if (code.startsWith('08')) return 'lost'
    if (refusalOf(error) !== undefined) return 'misrouted'
    if (SQLSTATE.test(code)) return 'other'
  }
  return MESSAGES.get(String(message)) ?? 'other'
}

const CODES: ReadonlyMap<string, Failure> = new Map([
  // Recovery conflicts, and the deadlock that a waiting replay is part of; PostgreSQL gives them codes of their kin.
  ['40001', 'conflict'],
  ['40P01', 'conflict'],
  ['57P01', 'lost'], // admin_shutdown
  ['57P02', 'lost'], // crash_shutdown
  ['57P03', 'lost'], // cannot_connect_now
  ['57P05', 'lost'], // idle_session_timeout
  ['53300', 'overload'], // too_many_connections
  ['28', 'misconfigured'],
  ['3D000', 'misconfigured'],
  ['ERR_WRITE_PINNING_CREDENTIALS', 'misconfigured'],
  ['ERR_WRITE_PINNING_NODE_UNAVAILABLE', 'lost'], // it was ejected
  // What the operating system says of a socket, or the resolver of a name.
  ['ECONNREFUSED', 'lost'],
  ['ECONNRESET', 'lost'],
  ['ECONNABORTED', 'lost'],
  ['EPIPE', 'lost'],
  ['ETIMEDOUT', 'lost'],
  ['EHOSTUNREACH', 'lost'],
  ['EHOSTDOWN', 'lost'],
  ['ENETUNREACH', 'lost'],
  ['ENETDOWN', 'lost'],
  ['EADDRNOTAVAIL', 'lost'],
  ['ENOENT', 'lost'], // the socket of a server on this host
  ['ENOTFOUND', 'lost'],
  ['EAI_AGAIN', 'lost'],
])

// `pg` and `pg-pool` give no code to these.
const MESSAGES: ReadonlyMap<string, Failure> = new Map([
  ['Connection terminated unexpectedly', 'lost'],
  ['Connection terminated', 'lost'],
  ['Connection terminated due to connection timeout', 'lost'],
  ['timeout expired', 'lost'],
  ['Client has encountered a connection error and is not queryable', 'never-sent'],
  ['Client was closed and is not queryable', 'never-sent'],
  ['timeout exceeded when trying to connect', 'overload'],
])

/** PgBouncer has one code for nearly everything; its words tell (https://www.pgbouncer.org/config.html). */
function failureOfPooler(message: string): Failure {
  // PostgreSQL's own: the statement has another number of parameters than values.
  if (message.startsWith('bind message supplies')) return 'other'
  if (/no more connections allowed|query_wait_timeout|too many/i.test(message)) return 'overload'
  if (/auth|no such (?:user|database)/i.test(message)) return 'misconfigured'
  return 'lost'
}

const SQLSTATE = /^[0-9A-Z]{5}$/
