import { TOKEN } from './lexer.ts'
import type { TokenList } from './token-list.ts'

/**
 * A call of `set_config()` (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET). Its
 * arguments may be parameters.
 */
export interface ConfigChange {
  readonly does: 'config'
  readonly setting: Argument
  readonly value: Argument
  readonly isLocal: Argument
}

/** A constant (null for SQL's `null`), or the number of a parameter. */
export type Argument = { readonly constant: string | null } | { readonly parameter: number }

/**
 * Reads a `select` from the word after it on. Gives its calls of `set_config()`; undefined if it does anything else.
 */
export function readConfigCalls(tokens: TokenList): readonly ConfigChange[] | undefined {
  const calls: ConfigChange[] = []
  do {
    tokens.take('pg_catalog', '.')
    if (!tokens.take('set_config', '(')) return undefined
    const setting = readArgument(tokens)
    if (setting === undefined || !tokens.take(',')) return undefined
    const value = readArgument(tokens)
    if (value === undefined || !tokens.take(',')) return undefined
    const isLocal = readArgument(tokens)
    if (isLocal === undefined || !tokens.take(')')) return undefined
    calls.push({ does: 'config', setting, value, isLocal })
    if (tokens.take('as') && tokens.takeName() === undefined) return undefined
  } while (tokens.take(','))
  return calls
}

function readArgument(tokens: TokenList): Argument | undefined {
  const token = tokens.current
  if (token === undefined) return undefined
  tokens.skip()
  const written = tokens.sql.slice(token.begin, token.end)
  const argument = argumentOf(token.kind, token.text, written)
  // A cast to text or to boolean does not change the value.
  if (!tokens.take('::')) return argument
  return TYPES.has(tokens.takeName() ?? '') ? argument : undefined
}

const TYPES: ReadonlySet<string> = new Set(
  'text varchar bool boolean pg_catalog.text pg_catalog.bool'.split(' '),
)

function argumentOf(kind: number, text: string, written: string): Argument | undefined {
  if (kind === TOKEN.parameter) return { parameter: Number(written.slice(1)) }
  if (kind === TOKEN.word && CONSTANTS.has(text)) return { constant: text === 'null' ? null : text }
  // Other strings have escapes, or go on in another line, and are not read.
  if (kind !== TOKEN.string || !PLAIN_STRING.test(written)) return undefined
  return { constant: written.slice(1, -1).replaceAll("''", "'") }
}

const CONSTANTS: ReadonlySet<string> = new Set(['true', 'false', 'null'])
const PLAIN_STRING = /^'(?:[^']|'')*'$/
