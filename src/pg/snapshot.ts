import type { QueryConfig } from 'pg'

/** What `pg` reads of a configuration; who calls back is called by the edge, once it is known what the error of a node means. */
const FIELDS = [
  ...['text', 'values', 'name', 'rowMode', 'types', 'queryMode', 'binary', 'rows', 'portal', 'query_timeout'],
] as const

/**
 * A configuration as it is now: it is sent later, and its owner may use it for another query by then. Its fields may be getters, as those of
 * texts that are put together by a template are.
 */
export function snapshotOf(config: object): QueryConfig {
  const snapshot: Record<string, unknown> = {}
  for (const name of FIELDS) {
    const value = (config as Record<string, unknown>)[name]
    if (value !== undefined) snapshot[name] = value
  }
  return snapshot as unknown as QueryConfig
}
