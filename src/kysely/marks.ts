import type { CompiledQuery, KyselyPlugin } from 'kysely'

/** What a query was marked to do, whatever the classifier says. */
export type Mark = 'to-primary' | 'to-replica' | 'or-primary'

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
 * Marks a query: if it is no write by its syntax, it reads from a replica, stale or not, whatever functions it calls.
 *
 * @example
 * const top = await db.selectFrom('product').selectAll().$call(toReplica).execute()
 */
export function toReplica<Query extends Markable>(query: Query): Query {
  return marked(query, TO_REPLICA)
}

/**
 * Marks a query: it reads where the context says and, where a replica gives no row, once more on the primary. For what
 * somebody else has just written: sessions, one-time codes, what a webhook brought.
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

// The mark is on the root node of the query that is executed: it is not the builder's, so it never survives into another
// query that is built from the same one, and as a part of another query it is not at the root.
const MARK = Symbol('write-pinning.mark')

function marked<Query extends Markable>(query: Query, plugin: KyselyPlugin): Query {
  return query.withPlugin(plugin) as Query
}

function pluginThatMarks(mark: Mark): KyselyPlugin {
  return {
    transformQuery: ({ node }) => ({ ...node, [MARK]: mark }),
    transformResult: async ({ result }) => result,
  }
}

const TO_PRIMARY = pluginThatMarks('to-primary')
const TO_REPLICA = pluginThatMarks('to-replica')
const OR_PRIMARY = pluginThatMarks('or-primary')
