import type { QueryConfig, Submittable } from 'pg'
import type { Mark } from '../routing/query.ts'
import { copyOfConfig } from './config-copy.ts'

// Versioned, and shared by two copies of this package in one process: one marks what the other sends.
const MARK = Symbol.for('write-pinning.mark.v1')

/**
 * Marks a query: it runs on the primary.
 *
 * @example
 * const { rows } = await pool.query(toPrimary('select * from orders where id = $1'), [id])
 */
export function toPrimary<Query extends string | QueryConfig | Submittable>(query: Query): Marked<Query> {
  return marked(query, 'to-primary')
}

/**
 * Marks a query: it reads from a replica, stale or not, whatever functions it calls. A query that writes or locks by
 * its syntax still goes to the primary.
 *
 * @example
 * const { rows } = await pool.query(toReplica('select * from products order by sold desc limit 10'))
 */
export function toReplica<Query extends string | QueryConfig | Submittable>(query: Query): Marked<Query> {
  return marked(query, 'to-replica')
}

/**
 * Marks a query: it reads where the context says. If a replica gives no row, it runs once more on the primary.
 *
 * Use it for rows that somebody else has just written: sessions, one-time codes, data from a webhook. A `Submittable`
 * (a cursor, a stream) is not asked for its rows, and stays where it is.
 *
 * @example
 * const { rows } = await pool.query(orPrimary({ text: 'select * from sessions where id = $1', values: [id] }))
 */
export function orPrimary<Query extends string | QueryConfig | Submittable>(query: Query): Marked<Query> {
  return marked(query, 'or-primary')
}

/** The type of a marked query: a text becomes a configuration of `pg`. */
export type Marked<Query> = Query extends string ? QueryConfig : Query

/** The mark of a query that is about to be sent. */
export function markOf(query: unknown): Mark | undefined {
  return typeof query === 'object' && query !== null ? (query as { [MARK]?: Mark })[MARK] : undefined
}

function marked<Query extends string | QueryConfig | Submittable>(query: Query, mark: Mark): Marked<Query> {
  if (typeof query === 'string') return { text: query, [MARK]: mark } as unknown as Marked<Query>
  // A `Submittable` gets the mark itself, because no copy of it is sent.
  if ('submit' in (query as object))
    return Object.assign(query as Submittable, { [MARK]: mark }) as unknown as Marked<Query>
  return Object.assign(copyOfConfig(query as object), { [MARK]: mark }) as unknown as Marked<Query>
}
