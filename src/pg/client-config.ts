import type pg from 'pg'
import { INITIAL_SETTINGS } from './initial-settings.ts'
import type { QueryDefaults } from './statement.ts'

/** What the configuration of a routed client says about how it sends and reads. Where it connects to is its pool's affair. */
export interface ClientConfig {
  readonly defaults: QueryDefaults | undefined
  /** What a client of `pg`'s would set in its session as it connects. */
  readonly settings: Readonly<Record<string, unknown>>
}

/** Reads the configuration of a client; a connection string has nothing in it that means anything here. */
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

/** The configuration by which a client looks like one to the primary, as far as that is known. */
export function shownConfig(config: unknown, primary: pg.PoolConfig): pg.ClientConfig {
  const { defaults, settings } = readClientConfig(config)
  // It has a socket to look at, and none that could be connected.
  return { ...primary, ...defaults, ...settings, stream: undefined } as unknown as pg.ClientConfig
}

/**
 * What a configuration says of where to connect, and nobody heeds; `[]` for nothing. What a library fills in where its user said nothing
 * is none of it.
 */
export function ignoredConnection(config: unknown): readonly string[] {
  if (typeof config === 'string') return ['a connection string']
  const given = (config ?? {}) as Record<string, unknown>
  return WHERE_TO.filter((name) => given[name] && given[name] !== FILLED_IN[name]).map(
    (name) => `\`${name}\``,
  )
}

const WHERE_TO = ['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl']
/** By Sequelize. */
const FILLED_IN: Readonly<Record<string, unknown>> = { host: 'localhost', port: 5432 }

function isParsers(types: unknown): boolean {
  return typeof (types as { getTypeParser?: unknown } | undefined)?.getTypeParser === 'function'
}
