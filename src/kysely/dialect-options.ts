import type { PostgresDialectConfig } from 'kysely'
import { DIALECT_OPTIONS } from '../option-names.ts'
import { functionOption } from '../options.ts'
import { type ClusterOptions, type RouterSettings, routerSettings } from '../routing/options.ts'
import type { HookConfig } from './node-connections.ts'

/** The options of {@link PrimaryReplicaDialect}. */
export interface PrimaryReplicaDialectOptions extends Omit<PostgresDialectConfig, 'pool'>, ClusterOptions {}

/** The options, checked, with their defaults. */
export interface DialectSettings {
  readonly router: RouterSettings
  readonly hooks: HookConfig
}

const WHERE = 'PrimaryReplicaDialect'
const FUNCTIONS = ['cursor', 'controlClient', 'onCreateConnection', 'onReserveConnection'] as const
// `controlClient` is an option of Kysely's from 0.29 on.
const KNOWN: readonly (keyof PrimaryReplicaDialectOptions | 'controlClient')[] = DIALECT_OPTIONS

/** @throws {WritePinningError} for every option that is wrong or unknown. */
export function dialectSettings(given: unknown): DialectSettings {
  return {
    router: routerSettings(WHERE, given, KNOWN),
    hooks: hookConfig(given as PrimaryReplicaDialectOptions),
  }
}

function hookConfig(options: PrimaryReplicaDialectOptions): HookConfig {
  const config: Record<string, unknown> = {}
  for (const name of FUNCTIONS) {
    const value = (options as unknown as Record<string, unknown>)[name]
    if (value !== undefined) config[name] = functionOption(WHERE, name, value)
  }
  return config
}
