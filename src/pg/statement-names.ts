import type { QueryConfig } from 'pg'
import type { PoolClientLike } from '../nodes/pool.ts'

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

/** A configuration without its name, where the session has another client's statement of that name: `pg` would refuse it. */
export function withoutTakenName(config: unknown, { connection }: PoolClientLike): unknown {
  const { name, text } = (config ?? {}) as { name?: unknown; text?: unknown }
  if (typeof config !== 'object' || typeof name !== 'string') return config
  const taken = (connection as NamingConnection | undefined)?.parsedStatements?.[name]
  if (taken === undefined || taken === text || text === undefined) return config
  const { name: _name, ...unnamed } = config as QueryConfig
  return unnamed
}
