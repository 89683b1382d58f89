import { type CompiledQuery, type KyselyPlugin, PostgresQueryCompiler } from 'kysely'
import type { Mark } from '../routing/query.ts'

/** Every builder that executes has this, raw `sql` included. */
interface Markable {
  withPlugin(plugin: KyselyPlugin): unknown
}

/**
 * Marks a query: it runs on the primary. Use it with `$call`, or around raw `sql`.
 *
 * @example
 * const order = await db.selectFrom('order').selectAll().where('id', '=', id).$call(toPrimary).executeTakeFirst()
 * const total = await toPrimary(sql`select total()`).execute(db)
 */
export function toPrimary<Query extends Markable>(query: Query): Query {
  return marked(query, TO_PRIMARY)
}

/**
 * Marks a query: it reads from a replica, stale or not, whatever functions it calls. A query that writes or locks by
 * its syntax still goes to the primary.
 *
 * @example
 * const top = await db.selectFrom('product').selectAll().$call(toReplica).execute()
 */
export function toReplica<Query extends Markable>(query: Query): Query {
  return marked(query, TO_REPLICA)
}

/**
 * Marks a query: it reads where the context says. If a replica gives no row, it runs once more on the primary.
 *
 * Use it for what somebody else has just written: sessions, one-time codes, what a webhook brought.
 *
 * @example
 * const session = await db.selectFrom('session').selectAll().where('id', '=', id).$call(orPrimary).executeTakeFirst()
 */
export function orPrimary<Query extends Markable>(query: Query): Query {
  return marked(query, OR_PRIMARY)
}

/** The mark of a query that is about to be executed. */
export function markOf(query: CompiledQuery): Mark | undefined {
  return (query.query as { [MARK]?: Mark })[MARK]
}

/**
 * Kysely's own compiler. It puts the mark of a query on the compiled query, because a plugin that came after the mark
 * may have replaced all nodes that it marked.
 */
export class MarkingQueryCompiler extends PostgresQueryCompiler {
  override compileQuery(...query: Parameters<PostgresQueryCompiler['compileQuery']>): CompiledQuery {
    const compiled = super.compileQuery(...query)
    return shared.pending === undefined ? compiled : withPendingMark(compiled)
  }
}

function withPendingMark(compiled: CompiledQuery): CompiledQuery {
  const { pending } = shared
  shared.pending = undefined
  if (pending?.queryId !== compiled.queryId) return compiled
  return Object.freeze({ ...compiled, query: { ...compiled.query, [MARK]: pending.mark } })
}

// The mark is on the root node of the query that is executed, and not on the builder. So it never survives into another
// query of the same builder. In a part of another query, it is not at the root. The symbols are versioned, and shared
// by two copies of this package in one process: one marks what the other executes. `MARKS` is on `globalThis`. Express
// has the same symbol on handlers, for the marks of routes: the two never meet.
const MARK = Symbol.for('write-pinning.mark.v1')
const MARKS = Symbol.for('write-pinning.marks.v1')

interface Shared {
  /** The query that was marked last. Kysely compiles it right after its plugins have seen it. */
  pending: { readonly queryId: object; readonly mark: Mark } | undefined
}

const holder = globalThis as { [MARKS]?: Shared }
holder[MARKS] ??= { pending: undefined }
const shared: Shared = holder[MARKS]

function marked<Query extends Markable>(query: Query, plugin: KyselyPlugin): Query {
  return query.withPlugin(plugin) as Query
}

function pluginThatMarks(mark: Mark): KyselyPlugin {
  return {
    transformQuery: ({ node, queryId }) => {
      const pending = { queryId, mark }
      shared.pending = pending
      // A part of another query is not compiled by itself. Its mark must not wait for the next query with its id.
      queueMicrotask(() => {
        if (shared.pending === pending) shared.pending = undefined
      })
      return { ...node, [MARK]: mark }
    },
    transformResult: async ({ result }) => result,
  }
}

const TO_PRIMARY = pluginThatMarks('to-primary')
const TO_REPLICA = pluginThatMarks('to-replica')
const OR_PRIMARY = pluginThatMarks('or-primary')
