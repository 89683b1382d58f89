import type { CompiledQuery } from 'kysely'

/** What a query was marked to do, whatever the classifier says. */
export type Mark = 'to-primary' | 'to-replica' | 'or-primary'

/** The mark of a query that is about to be executed. */
export function markOf(query: CompiledQuery): Mark | undefined {
  return (query.query as { [MARK]?: Mark })[MARK]
}

// The mark is on the root node of the query that is executed: it is not the builder's, so it never survives into another
// query that is built from the same one, and as a part of another query it is not at the root. Versioned, and shared by two copies of
// this package in one process: the one marks what the other executes.
export const MARK = Symbol.for('write-pinning.mark.v1')
