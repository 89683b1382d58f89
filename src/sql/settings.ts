import type { Argument } from './set-config.ts'
import { isPlainName, quotedName, type SettingChange } from './setting-changes.ts'

/** A change whose arguments are known. */
type KnownChange =
  | Exclude<SettingChange, { readonly does: 'config' }>
  /** It ends with its transaction. */
  | { readonly does: 'nothing' }

/** The statement that sets something; undefined for what was reset. */
type Entries = ReadonlyMap<string, string | undefined>

/**
 * What one client has set in its session, in the order in which it did: a value, of which each change makes another.
 */
export class Settings {
  /** Nothing was set. */
  static readonly NONE = new Settings(new Map(), false)

  readonly #entries: Entries
  /** Whether all was reset before, whatever the session had of its own. */
  readonly #isReset: boolean
  readonly #key: string

  private constructor(entries: Entries, isReset: boolean) {
    this.#entries = entries
    this.#isReset = isReset
    this.#key = JSON.stringify([isReset, ...entries])
  }

  /** Whether the two say the same. */
  equals(other: Settings): boolean {
    return this === other || this.#key === other.#key
  }

  /** The statement that set it; undefined where nothing has. */
  statementOf(name: string): string | undefined {
    return this.#entries.get(name)
  }

  /** These, changed. */
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
        // Whoever acts as another user has that user's role at first.
        if (change.name === 'session_authorization') entries.delete('role')
        return new Settings(entries, this.#isReset)
      }
    }
  }

  /**
   * What has to be said to a session that is set to `before`, so that it is set to these; `own` is what it has of its own accord. On a
   * replica, what makes it writable or serializable is left out.
   */
  statementsAfter(before: Settings, own: Settings, isOnReplica: boolean): readonly string[] {
    const from = before.#over(own, isOnReplica)
    const to = this.#over(own, isOnReplica)
    const areSame = from.size === to.size && [...to].every(([name, text]) => from.get(name) === text)
    if (areSame) return []
    const statements: string[] = []
    // Another user may not be allowed to set, or to reset, what this one could.
    for (const name of IDENTITY) if (from.delete(name)) statements.unshift(resetOf(name))
    for (const name of from.keys()) if (!to.has(name)) statements.push(resetOf(name))
    for (const [name, text] of to) {
      if (from.get(name) === text) continue
      if (from.has(name) && PARTIAL.has(name)) statements.push(resetOf(name))
      statements.push(text)
    }
    return statements
  }

  /** The statements by which another session acts as the same user. */
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

/** What can be set by halves, of which the other one stays as it is. */
const PARTIAL: ReadonlySet<string> = new Set(['datestyle'])

/** Who the session acts as. `reset all` leaves that as it is. */
const IDENTITY: ReadonlySet<string> = new Set(['session_authorization', 'role'])

/** A replica's session stays read-only, and a hot standby refuses all that is serializable. */
function onReplica(name: string, text: string | undefined): string | undefined {
  if (name === 'default_transaction_read_only') return undefined
  const isSerializable = name === 'default_transaction_isolation' && /serializable/i.test(text ?? '')
  return isSerializable ? `set ${name} to 'repeatable read'` : text
}

function resetOf(name: string): string {
  return name === 'session_authorization' ? 'reset session authorization' : `reset ${quotedName(name)}`
}

/** A change as these values make it; undefined where they are none that can be told. */
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

/** The statement that sets something to a value that is not read as SQL. */
export function settingStatement(name: string, value: string): string {
  return `select pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`
}

/** A text, or null; undefined where `pg` would make of it what is not known here. */
function textOf(argument: Argument, values: readonly unknown[] | undefined): string | null | undefined {
  if ('constant' in argument) return argument.constant
  if (values === undefined || values.length < argument.parameter) return undefined
  const value = values[argument.parameter - 1]
  if (value === null || value === undefined) return null
  return SIMPLE.has(typeof value) ? String(value) : undefined
}

const SIMPLE: ReadonlySet<string> = new Set(['string', 'number', 'bigint', 'boolean'])
// As the server reads a boolean (https://www.postgresql.org/docs/current/datatype-boolean.html).
const TRUE = /^\s*(?:t|tr|tru|true|y|ye|yes|on|1)\s*$/i
const FALSE = /^\s*(?:f|fa|fal|fals|false|n|no|of|off|0)\s*$/i

function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}
