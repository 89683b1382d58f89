import type { Submittable } from 'pg'
import type { Callback } from './callbacks.ts'
import type { QueuedQuery } from './client-queue.ts'
import { PgStatement, type QueryDefaults, type Results } from './statement.ts'
import { SubmittedQuery } from './submitted.ts'

/** Makes an entry of a client's queue from a text or a configuration. */
export function queuedQuery(
  config: unknown,
  values: unknown,
  defaults: QueryDefaults | undefined,
  outcome: Pick<QueuedQuery, 'succeed' | 'fail'>,
): QueuedQuery {
  const statement = new PgStatement(config, values, { ...defaults, sharesSessions: true })
  return {
    text: statement.text,
    send: (on) => on.run(statement),
    cancel: (because) => statement.cancel(because),
    ...outcome,
  }
}

/**
 * Makes an entry of a client's queue from a cursor, a stream or a `Query` of `pg`. Its end is reported to it in the
 * next tick, as `pg` does.
 */
export function queuedSubmitted(
  given: Submittable,
  values: unknown,
  callback: Callback<Results> | undefined,
  defaults: QueryDefaults | undefined,
): QueuedQuery {
  const its = given as { callback?: unknown; query_timeout?: unknown; binary?: unknown }
  const then = typeof values === 'function' ? values : callback
  if (!its.callback && then !== undefined) its.callback = then
  if (defaults?.query_timeout !== undefined) its.query_timeout ??= defaults.query_timeout
  if (defaults?.binary && !its.binary) its.binary = true
  const submitted = new SubmittedQuery(given, { ...defaults, sharesSessions: true })
  return {
    text: submitted.text,
    send: (on) => on.run(submitted),
    succeed: () => process.nextTick(() => submitted.finish()),
    fail: (error) => process.nextTick(() => submitted.fail(error)),
    cancel: (because) => submitted.cancel(because),
  }
}
