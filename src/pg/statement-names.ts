import type { QueryConfig } from 'pg'
import type { PoolClientLike } from '../nodes/pool.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import type { Settings } from '../sql/settings.ts'

/**
 * The names that one client has given to its statements. In plain `pg` a name belongs to the client's connection. A
 * client that borrows its connections sends the text with the name, because each statement may get another session.
 */
export class StatementNames {
  readonly #texts = new Map<string, string>()

  /** Gives a configuration the text that its name stands for. */
  withText(config: unknown): unknown {
    const { name, text } = (config ?? {}) as { name?: unknown; text?: unknown }
    if (typeof config !== 'object' || typeof name !== 'string' || name === '') return config
    if (typeof text === 'string') {
      this.#texts.set(name, text)
      return config
    }
    const known = this.#texts.get(name)
    return known === undefined ? config : Object.create(config, { text: { value: known, enumerable: true } })
  }

  /** The same for a `Submittable`: sets its text. */
  fillIn(given: object): void {
    const { text } = this.withText(given) as { readonly text?: unknown }
    if (text !== (given as { readonly text?: unknown }).text) Object.assign(given, { text })
  }
}

/** The part of `pg`'s connection that remembers the named statements of its session. */
interface NamingConnection {
  readonly parsedStatements?: Readonly<Record<string, string>>
}

/** The settings under which each session has prepared its named statements. */
const readUnder = new WeakMap<PoolClientLike, Map<string, Settings>>()

/**
 * Gives a configuration without its name, if the session has prepared a statement of that name for another client,
 * and another client's settings may have given its text another meaning. The settings at the time of preparing decide
 * what a constant or a table is, and which function is called
 * (https://www.postgresql.org/docs/current/sql-prepare.html). With `isShared`, the text under that name may also be
 * another one, which `pg` would refuse.
 */
export function withoutTakenName(config: unknown, client: PoolClientLike, isShared: boolean): unknown {
  const { name, text } = (config ?? {}) as { name?: unknown; text?: unknown }
  if (typeof config !== 'object' || typeof name !== 'string' || text === undefined) return config
  const taken = (client.connection as NamingConnection | undefined)?.parsedStatements?.[name]
  const wanted = settingsOf(client)?.wanted
  if (taken === undefined) {
    if (wanted !== undefined) remember(client, name, wanted)
    return config
  }
  const under = readUnder.get(client)?.get(name)
  const isReadAlike = under === undefined || wanted === undefined || under.equals(wanted)
  if (isReadAlike && (taken === text || !isShared)) return config
  const { name: _name, ...unnamed } = config as QueryConfig
  return unnamed
}

function remember(client: PoolClientLike, name: string, settings: Settings): void {
  const names = readUnder.get(client) ?? new Map<string, Settings>()
  readUnder.set(client, names.set(name, settings))
}
