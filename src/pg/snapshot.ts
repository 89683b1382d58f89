import type { QueryConfig } from 'pg'

/**
 * What `pg` reads of a configuration, without the callback. The edge calls that one, when it is known what an error of
 * a node means.
 */
const FIELDS = [
  ...['text', 'values', 'name', 'rowMode', 'types', 'queryMode', 'binary', 'rows', 'portal', 'query_timeout'],
] as const

/**
 * A copy of a configuration as it is now: it is sent later, and its owner may use it for another query by then. Its
 * fields may be getters, as in texts that a template puts together.
 */
export function snapshotOf(config: object): QueryConfig {
  const snapshot: Record<string, unknown> = {}
  for (const name of FIELDS) {
    const value = (config as Record<string, unknown>)[name]
    if (value !== undefined) snapshot[name] = value
  }
  return snapshot as unknown as QueryConfig
}
