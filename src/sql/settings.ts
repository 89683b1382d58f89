import type { Argument } from './set-config.ts'
import { isPlainName, quotedName, type SettingChange } from './setting-changes.ts'

/** A change whose arguments are known. */
type KnownChange =
  | Exclude<SettingChange, { readonly does: 'config' }>
  /** The setting ends with its transaction. */
  | { readonly does: 'nothing' }

/** The statement that sets each setting, by the setting's name; undefined if it was reset. */
type Entries = ReadonlyMap<string, string | undefined>

/**
 * What one client has set in its session, in the order in which it did so. The value never changes: each change gives
 * a new one.
 */
export class Settings {
  /** Nothing was set. */
  static readonly NONE = new Settings(new Map(), false)

  readonly #entries: Entries
  /** Whether everything was reset before these were set, including the session's own settings. */
  readonly #isReset: boolean
  readonly #key: string

  private constructor(entries: Entries, isReset: boolean) {
    this.#entries = entries
    this.#isReset = isReset
    this.#key = JSON.stringify([isReset, ...entries])
  }

  /** Whether both hold the same settings. */
  equals(other: Settings): boolean {
    return this === other || this.#key === other.#key
  }

  /** The statement that set `name`; undefined if none did. */
  statementOf(name: string): string | undefined {
    return this.#entries.get(name)
  }

  /** Gives these settings with a change. */
  with(change: KnownChange): Settings {
    switch (change.does) {
      case 'nothing':
        return this
      case 'reset-all':
        return new Settings(new Map([...this.#entries].filter(([name]) => IDENTITY.has(name))), true)
      case 'discard-all':
        return new Settings(new Map([...IDENTITY].map((name) => [name, undefined])), true)
      default: {
        const entries = new Map(this.#entries)
        entries.delete(change.name)
        entries.set(change.name, change.does === 'set' ? change.text : undefined)
        // A session that changes its user starts with the role of that user.
        if (change.name === 'session_authorization') entries.delete('role')
        return new Settings(entries, this.#isReset)
      }
    }
  }

  /**
   * Gives the statements that take a session from the settings `before` to these. `own` is the session's own
   * settings: the application made them when the session connected. On a replica, no statement makes the session
   * writable or serializable.
   */
  statementsAfter(before: Settings, own: Settings, isOnReplica: boolean): readonly string[] {
    const from = before.#over(own, isOnReplica)
    const to = this.#over(own, isOnReplica)
    const areSame = from.size === to.size && [...to].every(([name, text]) => from.get(name) === text)
    if (areSame) return []
    const statements: string[] = []
    // First, the session gets its own user back: another user may not be allowed to set or reset the rest.
    for (const name of IDENTITY) if (from.delete(name)) statements.unshift(resetOf(name))
    for (const name of from.keys()) if (!to.has(name)) statements.push(resetOf(name))
    for (const [name, text] of to) {
      if (from.get(name) === text) continue
      if (from.has(name) && PARTIAL.has(name)) statements.push(resetOf(name))
      statements.push(text)
    }
    return statements
  }

  /** The statements that make another session act as the same user. */
  get identity(): readonly string[] {
    return [...this.#entries].flatMap(([name, text]) =>
      IDENTITY.has(name) && text !== undefined ? [text] : [],
    )
  }

  #over(own: Settings, isOnReplica: boolean): Map<string, string> {
    const all = new Map<string, string>()
    const kept = this.#isReset ? [...own.#entries].filter(([name]) => IDENTITY.has(name)) : own.#entries
    for (const [name, text] of [...kept, ...this.#entries]) {
      all.delete(name)
      const its = isOnReplica ? onReplica(name, text) : text
      if (its !== undefined) all.set(name, its)
    }
    return all
  }
}

/** Settings that have two halves. A statement may set one half and leave the other as it is. */
const PARTIAL: ReadonlySet<string> = new Set(['datestyle'])

/** The settings that say as which database user the session acts. `reset all` leaves them as they are. */
const IDENTITY: ReadonlySet<string> = new Set(['session_authorization', 'role'])

/**
 * Gives a setting as a replica can have it: its sessions stay read-only, and it refuses serializable transactions.
 */
function onReplica(name: string, text: string | undefined): string | undefined {
  if (name === 'default_transaction_read_only') return undefined
  const isSerializable = name === 'default_transaction_isolation' && /serializable/i.test(text ?? '')
  return isSerializable ? `set ${name} to 'repeatable read'` : text
}

function resetOf(name: string): string {
  return name === 'session_authorization' ? 'reset session authorization' : `reset ${quotedName(name)}`
}

/** A change with the values of its parameters filled in. Undefined if they are not known. */
export function knownChange(
  change: SettingChange,
  values: readonly unknown[] | undefined,
): KnownChange | undefined {
  if (change.does !== 'config') return change
  const [name, value, isLocal] = [change.setting, change.value, change.isLocal].map((each) =>
    textOf(each, values),
  )
  if (typeof name !== 'string' || value === undefined || typeof isLocal !== 'string') return undefined
  if (TRUE.test(isLocal)) return { does: 'nothing' }
  if (!FALSE.test(isLocal) || !isPlainName(name)) return undefined
  const setting = name.toLowerCase()
  if (value === null) return { does: 'reset', name: setting }
  return { does: 'set', name: setting, text: settingStatement(name, value) }
}

/** A statement that sets something to a value. The value is not read as SQL. */
export function settingStatement(name: string, value: string): string {
  return `select pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`
}

/** The text of an argument, or null. Undefined if it is unknown which text `pg` sends for the value. */
function textOf(argument: Argument, values: readonly unknown[] | undefined): string | null | undefined {
  if ('constant' in argument) return argument.constant
  if (values === undefined || values.length < argument.parameter) return undefined
  const value = values[argument.parameter - 1]
  if (value === null || value === undefined) return null
  return SIMPLE.has(typeof value) ? String(value) : undefined
}

const SIMPLE: ReadonlySet<string> = new Set(['string', 'number', 'bigint', 'boolean'])
// How the server reads a boolean (https://www.postgresql.org/docs/current/datatype-boolean.html).
const TRUE = /^\s*(?:t|tr|tru|true|y|ye|yes|on|1)\s*$/i
const FALSE = /^\s*(?:f|fa|fal|fals|false|n|no|of|off|0)\s*$/i

function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}
