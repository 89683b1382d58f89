import type { QueryConfig } from 'pg'

/**
 * The fields that `pg` reads of a configuration, without the callback. This room calls the callback itself, once it
 * is known what an error of a node means.
 */
const FIELDS = [
  ...['text', 'values', 'name', 'rowMode', 'types', 'queryMode', 'binary', 'rows', 'portal', 'query_timeout'],
] as const

/**
 * A copy of a configuration as it is now. It is sent later, and the application may change its object by then. Its
 * fields may be getters, as in the objects of some SQL template libraries.
 */
export function copyOfConfig(config: object): QueryConfig {
  const snapshot: Record<string, unknown> = {}
  for (const name of FIELDS) {
    const value = (config as Record<string, unknown>)[name]
    if (value !== undefined) snapshot[name] = value
  }
  return snapshot as unknown as QueryConfig
}
