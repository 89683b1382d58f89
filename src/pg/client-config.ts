import type pg from 'pg'
import { INITIAL_SETTINGS } from './initial-settings.ts'
import type { QueryDefaults } from './statement.ts'

/**
 * How a client of the driver sends queries and reads results, by its configuration. Where it connects to is up to its
 * pool.
 */
export interface ClientConfig {
  readonly defaults: QueryDefaults | undefined
  /** The settings that a client of `pg` would make in its session as it connects. */
  readonly settings: Readonly<Record<string, unknown>>
}

/** Reads the configuration of a client. A connection string says nothing that matters here. */
export function readClientConfig(config: unknown): ClientConfig {
  const given = typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {}
  const { types, query_timeout: queryTimeout, binary } = given
  const timeoutMs = Number(queryTimeout)
  const defaults: QueryDefaults = {
    ...(isParsers(types) && { types }),
    ...(timeoutMs > 0 && { query_timeout: timeoutMs }),
    ...(binary === true && { binary }),
  }
  const settings: Record<string, unknown> = {}
  for (const name of INITIAL_SETTINGS) if (given[name] !== undefined) settings[name] = given[name]
  return { defaults: Object.keys(defaults).length === 0 ? undefined : defaults, settings }
}

/**
 * The configuration that a client of the driver shows: that of the primary, as far as it is known, with the client's
 * own on top.
 */
export function shownConfig(config: unknown, primary: pg.PoolConfig): pg.ClientConfig {
  const { defaults, settings } = readClientConfig(config)
  // The primary's own `stream` is left out. The client gets a plain socket to show, which never connects.
  return { ...primary, ...defaults, ...settings, stream: undefined } as unknown as pg.ClientConfig
}

/**
 * The entries of a configuration that say where to connect. They are ignored. Values that a library fills in by
 * itself do not count.
 */
export function ignoredConnection(config: unknown): readonly string[] {
  if (typeof config === 'string') return ['a connection string']
  const given = (config ?? {}) as Record<string, unknown>
  return WHERE_TO.filter((name) => given[name] && given[name] !== FILLED_IN[name]).map(
    (name) => `\`${name}\``,
  )
}

const WHERE_TO = ['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl']
/** The values that Sequelize fills in. */
const FILLED_IN: Readonly<Record<string, unknown>> = { host: 'localhost', port: 5432 }

function isParsers(types: unknown): boolean {
  return typeof (types as { getTypeParser?: unknown } | undefined)?.getTypeParser === 'function'
}
