import { knownEffect } from './known-functions.ts'
import { Lexer, TOKEN } from './lexer.ts'

/**
 * What a statement about its session does. A `read only` transaction on a replica needs to know this: it may run the
 * statement there, or follow what is set.
 */
export interface SessionWork {
  /**
   * Set if the statement only sets something. Undefined if it does anything else, or if that is unknown.
   *
   * - `'transaction'`: the setting lasts until the transaction ends
   * - `'session'`: it lasts longer
   */
  readonly sets: 'transaction' | 'session' | undefined
  /**
   * Whether it makes sense on the primary only: a lock, a notification, or a function that a replica does not answer.
   */
  readonly needsPrimary: boolean
  /** The query of a cursor that ends with the transaction; undefined if it makes no such cursor. */
  readonly cursorQuery: string | undefined
  /** Whether all that it does ends with the transaction. */
  readonly endsWithTransaction: boolean
}

/**
 * Reads a single statement of kind `'session'`. In doubt, the result says that the statement does more than set
 * something, and that its effect outlives the transaction.
 */
export function readSessionWork(sql: string): SessionWork {
  const lexer = new Lexer(sql)
  lexer.next()
  while (lexer.isAt('(')) lexer.next()
  const verb = lexer.kind === TOKEN.word ? lexer.text : ''
  if (verb === 'set') return readSet(lexer)
  if (verb === 'reset') return { ...NOTHING, sets: 'session' }
  if (verb === 'declare') return readDeclare(lexer, sql)
  if (NEEDS_PRIMARY.has(verb)) return { ...NOTHING, needsPrimary: true }
  if (ENDS_WITH_TRANSACTION.has(verb)) return { ...NOTHING, endsWithTransaction: true }
  return readCalls(lexer, verb === 'select')
}

const NOTHING: SessionWork = {
  sets: undefined,
  needsPrimary: false,
  cursorQuery: undefined,
  endsWithTransaction: false,
}
const SETS_TRANSACTION: SessionWork = { ...NOTHING, sets: 'transaction', endsWithTransaction: true }
const NEEDS_PRIMARY: ReadonlySet<string> = new Set(['lock', 'listen', 'notify'])
const ENDS_WITH_TRANSACTION: ReadonlySet<string> = new Set(['fetch', 'move', 'close'])
const OF_TRANSACTION: ReadonlySet<string> = new Set(['local', 'transaction', 'constraints'])

function readSet(lexer: Lexer): SessionWork {
  lexer.next()
  if (lexer.kind !== TOKEN.word || !OF_TRANSACTION.has(lexer.text)) return { ...NOTHING, sets: 'session' }
  if (lexer.text !== 'transaction') return SETS_TRANSACTION
  // A replica refuses a transaction that writes, and one that is serializable.
  for (; goesOn(lexer); lexer.next()) {
    if (lexer.isAtWord('write') || lexer.isAtWord('serializable')) {
      return { ...NOTHING, endsWithTransaction: true }
    }
  }
  return SETS_TRANSACTION
}

function readDeclare(lexer: Lexer, sql: string): SessionWork {
  // Skips the name, which may be any word.
  lexer.next()
  for (lexer.next(); goesOn(lexer); lexer.next()) {
    if (lexer.isAtWord('hold')) return NOTHING
    if (!lexer.isAtWord('for')) continue
    return { ...NOTHING, cursorQuery: sql.slice(lexer.end), endsWithTransaction: true }
  }
  return NOTHING
}

/**
 * Reads what the functions of a statement do to the session. With a `from` or a `table`, the statement also reads.
 */
function readCalls(lexer: Lexer, isSelect: boolean): SessionWork {
  const tokens: Token[] = []
  for (; goesOn(lexer); lexer.next()) {
    const { kind, text } = lexer
    if (kind === TOKEN.word && READS.has(text)) isSelect = false
    tokens.push({ kind, text })
  }
  let isLocal = true
  let needsPrimary = false
  for (const [at, { kind, text }] of tokens.entries()) {
    if (kind !== TOKEN.punctuation) continue
    // An attribute may be a call too: `(7::bigint).pg_advisory_lock`.
    const isAttribute = text === '.' && tokens[at + 2]?.text !== '('
    if (text !== '(' && !isAttribute) continue
    const name = nameAt(tokens[isAttribute ? at + 1 : at - 1])
    if (name === 'set_config') isLocal &&= isLastArgumentTrue(tokens, at)
    else if (name === 'setseed') isLocal = false
    else if (knownEffect(name) === 'session') needsPrimary = true
  }
  if (lexer.kind === TOKEN.unreadable || !isSelect || needsPrimary) return { ...NOTHING, needsPrimary }
  return isLocal ? SETS_TRANSACTION : { ...NOTHING, sets: 'session' }
}

const READS: ReadonlySet<string> = new Set(['from', 'table'])

interface Token {
  readonly kind: number
  readonly text: string
}

function nameAt(token: Token | undefined): string {
  return token?.kind === TOKEN.word || token?.kind === TOKEN.quoted ? token.text : ''
}

/** Whether the call whose parenthesis opens here ends with `, true)`. */
function isLastArgumentTrue(tokens: readonly Token[], at: number): boolean {
  let depth = 0
  for (let end = at; end < tokens.length; end++) {
    const { kind, text } = tokens[end] as Token
    if (kind !== TOKEN.punctuation) continue
    if (text === '(') depth++
    if (text !== ')' || --depth > 0) continue
    const [comma, last] = [tokens[end - 2], tokens[end - 1]]
    return comma?.text === ',' && last?.kind === TOKEN.word && last.text === 'true'
  }
  return false
}

function goesOn({ kind }: Lexer): boolean {
  return kind !== TOKEN.end && kind !== TOKEN.unreadable
}
