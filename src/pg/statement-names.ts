import type { QueryConfig } from 'pg'
import type { PoolClientLike } from '../nodes/pool.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import type { Settings } from '../sql/settings.ts'

/**
 * The names that one client has given to its statements. With plain `pg` they are those of its connection; a client that holds none has the
 * text of a name sent along to whatever session serves.
 */
export class StatementNames {
  readonly #texts = new Map<string, string>()

  /** A configuration with the text that it goes by. */
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
}

/** The part of `pg`'s connection in which it remembers what a session has by a name. */
interface NamingConnection {
  readonly parsedStatements?: Readonly<Record<string, string>>
}

/** Under which settings sessions have read their statements, by their names. */
const readUnder = new WeakMap<PoolClientLike, Map<string, Settings>>()

/**
 * A configuration without its name, where the session has read a statement of that name for another client, and may have read it as something
 * else: what a constant or a table is, and which function is called, hangs on settings as the statement is read
 * (https://www.postgresql.org/docs/current/sql-prepare.html). With `isShared`, its text may be another as well, which `pg` would refuse.
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
