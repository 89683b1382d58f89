import type { PostgresDialectConfig } from 'kysely'
import { KYSELY_OPTIONS } from '../option-names.ts'
import { OptionReader } from '../options.ts'
import { type ClusterOptions, clusterSettings, type RouterSettings } from '../routing/options.ts'
import type { HookConfig } from './node-connections.ts'

/**
 * The options of {@link PrimaryReplicaDialect}: those of the pool, and Kysely's own `cursor`, `controlClient`,
 * `onCreateConnection` and `onReserveConnection`.
 */
export interface PrimaryReplicaDialectOptions extends Omit<PostgresDialectConfig, 'pool'>, ClusterOptions {}

/** The options, checked, with their defaults in place. */
export interface DialectSettings {
  readonly router: RouterSettings
  readonly hooks: HookConfig
}

/**
 * Reads the options.
 *
 * @throws {WritePinningError} for an option that is wrong or unknown.
 */
export function dialectSettings(given: unknown): DialectSettings {
  return { router: clusterSettings(WHERE, given, KYSELY_OPTIONS), hooks: hookConfig(given) }
}

const WHERE = 'PrimaryReplicaDialect'

function hookConfig(given: unknown): HookConfig {
  const read = new OptionReader<{ [Name in (typeof KYSELY_OPTIONS)[number]]?: unknown }>(WHERE, given)
  const functions = KYSELY_OPTIONS.map((name) => [name, read.function(name)])
  return Object.fromEntries(functions.filter(([, value]) => value !== undefined))
}
