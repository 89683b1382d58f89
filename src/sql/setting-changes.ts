import { TOKEN } from './lexer.ts'
import { type ConfigChange, readConfigCalls } from './set-config.ts'
import { TokenList } from './token-list.ts'

/** What one statement does to the settings of its session. */
export type SettingChange =
  /** `text` is a statement that sets it, whatever its value was before. */
  | { readonly does: 'set'; readonly name: string; readonly text: string }
  | { readonly does: 'reset'; readonly name: string }
  /** Resets every setting, except the role and the session's user. */
  | { readonly does: 'reset-all' }
  /** Resets all that `discard all` can reset. */
  | { readonly does: 'discard-all' }
  | ConfigChange

/** How long a text may be to be read, in characters. A tenant's name has a few hundred at most. */
const MAX_LENGTH = 4_096

/**
 * Reads what a text does to the settings of its session, if it does nothing else, and if another session can be set
 * in the same way (https://www.postgresql.org/docs/current/sql-set.html, sql-reset.html, sql-discard.html). Undefined
 * for every other text, and in doubt.
 */
export function readSettingChanges(sql: string): readonly SettingChange[] | undefined {
  // What a backslash means in a string depends on a setting.
  if (!MAY_SET.test(sql) || sql.length > MAX_LENGTH || sql.includes('\\') || sql.includes('\0'))
    return undefined
  const tokens = TokenList.of(sql)
  if (tokens === undefined) return undefined
  const changes: SettingChange[] = []
  while (!tokens.isAtEnd) {
    if (tokens.take(';')) continue
    const its = readStatement(tokens)
    if (its === undefined || !tokens.isAtStatementEnd) return undefined
    changes.push(...its)
  }
  return changes.length > 0 && changes.every(canBeHandedOn) ? changes : undefined
}

/** Most texts do not even match this. */
const MAY_SET = /^[\s;]*(?:\/\*|--|set\b|reset\b|discard\b|select\b)/i

/** Settings that belong to one transaction or one session, whatever their value is. */
const NOT_HANDED_ON: ReadonlySet<string> = new Set(
  'transaction_isolation transaction_read_only transaction_deferrable seed is_superuser'.split(' '),
)

function canBeHandedOn(change: SettingChange): boolean {
  if (change.does === 'config' || !('name' in change)) return true
  return isPlainName(change.name) && !NOT_HANDED_ON.has(change.name)
}

/**
 * Whether a `set` statement and a call of `set_config()` mean the same setting by this name. The server cuts a long
 * name in `set`, but not in `set_config()`. And it puts only ASCII letters in lower case, while `toLowerCase()` here
 * changes others too.
 */
export function isPlainName(name: string): boolean {
  return ASCII.test(name) && name.split('.').every(({ length }) => length <= MAX_NAME_LENGTH)
}

const ASCII = /^[ -~]*$/
const MAX_NAME_LENGTH = 63

function readStatement(tokens: TokenList): readonly SettingChange[] | undefined {
  if (tokens.take('set')) return readSet(tokens)
  if (tokens.take('reset')) return readReset(tokens)
  if (tokens.take('discard')) return tokens.take('all') ? [{ does: 'discard-all' }] : undefined
  return tokens.take('select') ? readConfigCalls(tokens) : undefined
}

function readReset(tokens: TokenList): readonly SettingChange[] | undefined {
  if (tokens.take('all')) return [{ does: 'reset-all' }]
  const special = SPECIAL_RESETS.find(([, ...words]) => tokens.take(...words))
  const name = special?.[0] ?? tokens.takeName()
  return name === undefined ? undefined : [{ does: 'reset', name }]
}

const SPECIAL_RESETS: readonly (readonly [string, ...string[]])[] = [
  ['timezone', 'time', 'zone'],
  ['session_authorization', 'session', 'authorization'],
]

function readSet(tokens: TokenList): readonly SettingChange[] | undefined {
  if (tokens.isAtWord('local') || tokens.isAtWord('transaction') || tokens.isAtWord('constraints'))
    return undefined
  // `set session authorization` sets the user, and `set session x` any setting.
  if (!tokens.isAtWord('authorization', 1)) tokens.take('session')
  if (tokens.take('characteristics', 'as', 'transaction')) return readCharacteristics(tokens)
  for (const [name, ...words] of SPECIAL) {
    if (!tokens.take(...words)) continue
    // `set role = x` is written like any other setting.
    return isAtAssignment(tokens)
      ? readAssigned(tokens, name)
      : readValue(tokens, name, `${words.join(' ')} `)
  }
  const name = tokens.takeName()
  return name === undefined ? undefined : readAssigned(tokens, name)
}

/** Settings with a syntax of their own: first the name of the setting, then the words of that syntax. */
const SPECIAL: readonly (readonly [string, ...string[]])[] = [
  ['session_authorization', 'session', 'authorization'],
  ['timezone', 'time', 'zone'],
  ['xmloption', 'xml', 'option'],
  ['client_encoding', 'names'],
  ['role', 'role'],
  ['search_path', 'schema'],
]

function isAtAssignment(tokens: TokenList): boolean {
  return tokens.isAt('=') || tokens.isAtWord('to')
}

function readAssigned(tokens: TokenList, name: string): readonly SettingChange[] | undefined {
  if (!tokens.take('=') && !tokens.take('to')) return undefined
  return readValue(tokens, name, `${quotedName(name)} to `)
}

/** Reads the value, up to the end of the statement. */
function readValue(tokens: TokenList, name: string, before: string): readonly SettingChange[] | undefined {
  const isDefault = tokens.isAtWord('default') || (name === 'timezone' && tokens.isAtWord('local'))
  const begin = tokens.current?.begin
  let end = begin
  for (; !tokens.isAtStatementEnd; tokens.skip()) {
    if (tokens.current?.kind === TOKEN.parameter) return undefined
    end = tokens.current?.end
  }
  if (isDefault) return [{ does: 'reset', name }]
  if (begin === end) return name === 'client_encoding' ? [{ does: 'reset', name }] : undefined
  return [{ does: 'set', name, text: `set ${before}${tokens.sql.slice(begin, end)}` }]
}

/** `set session characteristics as transaction …` sets the defaults of transactions. Each is a setting of its own. */
function readCharacteristics(tokens: TokenList): readonly SettingChange[] | undefined {
  const changes: SettingChange[] = []
  do {
    const mode = MODES.find(([words]) => tokens.take(...words.split(' ')))
    if (mode === undefined) return undefined
    const [, name, value] = mode
    changes.push({ does: 'set', name, text: `set ${name} to '${value}'` })
    tokens.take(',')
  } while (!tokens.isAtStatementEnd)
  return changes
}

const MODES: readonly (readonly [string, string, string])[] = [
  ['isolation level serializable', 'default_transaction_isolation', 'serializable'],
  ['isolation level repeatable read', 'default_transaction_isolation', 'repeatable read'],
  ['isolation level read committed', 'default_transaction_isolation', 'read committed'],
  ['isolation level read uncommitted', 'default_transaction_isolation', 'read uncommitted'],
  ['read write', 'default_transaction_read_only', 'off'],
  ['read only', 'default_transaction_read_only', 'on'],
  ['not deferrable', 'default_transaction_deferrable', 'off'],
  ['deferrable', 'default_transaction_deferrable', 'on'],
]

/** The name of a setting as a statement can write it. */
export function quotedName(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}
