import { Lexer, TOKEN } from '../sql/lexer.ts'
import { readSessionWork } from '../sql/session-work.ts'
import type { Statement } from '../sql/statement.ts'
import { TextCache } from '../sql/text-cache.ts'

/** What a statement may have left in its session that no other session has. */
export type Leftover =
  | 'nothing'
  /** A setting, which can be made in another session too. */
  | 'setting'
  /** An advisory lock, and nothing else. The server knows whether it is still held. */
  | 'lock'
  /** A temporary table, a prepared statement, a channel that it listens to, or a cursor. Or nobody knows. */
  | 'bound'
  /** It has cleared everything that was left before. */
  | 'cleared'

/**
 * Says by its text what a statement leaves in its session. An idle client without a connection of its own keeps a
 * session only if it has left something there.
 */
export class LeftInSession {
  readonly #cache = new TextCache<Leftover>()

  /** What a statement may have left in its session. It ran, or was refused half-way. */
  of(statement: Statement, text: string): Leftover {
    // Nearly all statements are reads. Next come those that control their transaction.
    if (statement.kind === 'read' || statement.isControl || statement.opens !== undefined) return 'nothing'
    if (statement.binds) return 'bound'
    const known = this.#cache.get(text)
    if (known !== undefined) return known
    const left = leftBy(statement, text)
    this.#cache.set(text, left)
    return left
  }
}

function leftBy({ kind }: Statement, text: string): Leftover {
  if (kind === 'session' && readSessionWork(text).endsWithTransaction) return 'nothing'
  return new Reader(text).read()
}

/**
 * Whether a text calls `lastval()` or `currval()`, and no `nextval()` or other statement stands before that. Then its
 * answer depends on the session.
 */
export function asksForTakenValue(text: string): boolean {
  if (!text.includes('val') || !TAKEN_VALUE.test(text)) return false
  const lexer = new Lexer(text)
  let previous = ''
  for (lexer.next(); lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable; lexer.next()) {
    if (lexer.isAt('(') && (previous === 'lastval' || previous === 'currval')) return true
    // A statement or a `nextval()` before that may take the value in the same session.
    if (lexer.isAt(';') || (lexer.isAt('(') && previous === 'nextval')) return false
    previous = lexer.kind === TOKEN.word || lexer.kind === TOKEN.quoted ? lexer.text : ''
  }
  return false
}

const TAKEN_VALUE = /\b(?:last|curr)val\b/i

/** Reads a text of one or several statements. In doubt, something is left. */
class Reader {
  readonly #text: string
  readonly #lexer: Lexer
  #left: Leftover = 'nothing'

  constructor(text: string) {
    this.#text = text
    this.#lexer = new Lexer(text)
  }

  read(): Leftover {
    const lexer = this.#lexer
    let verb: string | undefined
    let previous = ''
    let isName = false
    for (lexer.next(); lexer.kind !== TOKEN.end; lexer.next()) {
      const { kind, text } = lexer
      if (kind === TOKEN.unreadable) return 'bound'
      if (kind === TOKEN.punctuation && text === ';') {
        verb = undefined
        previous = ''
        isName = false
        continue
      }
      if (kind === TOKEN.punctuation && text === '(' && isName) this.#called(previous)
      isName = kind === TOKEN.word || kind === TOKEN.quoted
      // Without a parenthesis it is called, too: `(7::bigint).pg_advisory_lock`.
      if (isName && LOCKING_FUNCTIONS.has(text)) this.#leaves('lock')
      if (kind === TOKEN.word && verb === undefined) {
        verb = text
        this.#began(verb)
        // `#began` has read a second word, too. It belongs to the verb, and is not the name of a function.
        if (lexer.kind === TOKEN.word && lexer.text !== verb) isName = false
      } else if (kind === TOKEN.word) this.#saw(text, verb, previous)
      if (kind === TOKEN.quoted && text.startsWith('pg_temp')) this.#leaves('bound')
      if (lexer.kind === TOKEN.unreadable) return 'bound'
      if (lexer.kind === TOKEN.end) break
      previous = lexer.text
    }
    return this.#left
  }

  #began(verb: string): void {
    if (BINDING_VERBS.has(verb)) this.#leaves('bound')
    if (verb === 'do' && mayBindInside(this.#text)) this.#leaves('bound')
    if (verb !== 'set' && verb !== 'prepare' && verb !== 'discard' && verb !== 'reset') return
    this.#lexer.next()
    const second = this.#lexer.kind === TOKEN.word ? this.#lexer.text : ''
    if (verb === 'set' && !ENDING_WITH_TRANSACTION.has(second)) this.#leaves('setting')
    if (verb === 'prepare' && second !== 'transaction') this.#leaves('bound')
    if (verb === 'discard' && second === 'all') this.#left = 'cleared'
  }

  #saw(word: string, verb: string | undefined, previous: string): void {
    if (TEMPORARY.has(word) && (verb === 'create' || previous === 'into')) this.#leaves('bound')
    if (word.startsWith('pg_temp')) this.#leaves('bound')
    if (word === 'hold' && verb === 'declare' && previous === 'with') this.#leaves('bound')
  }

  #called(name: string): void {
    if (SETTING_FUNCTIONS.has(name)) this.#leaves('setting')
  }

  #leaves(left: 'setting' | 'lock' | 'bound'): void {
    if (this.#left === left) return
    this.#left = this.#left === 'nothing' || this.#left === 'cleared' ? left : 'bound'
  }
}

/**
 * Whether the body of a `do` may leave something. The body is a string in a language of its own, so this looks for
 * words that may, and for `execute`, which runs a text that the body puts together.
 */
function mayBindInside(text: string): boolean {
  return BINDING_INSIDE.test(text)
}

const BINDING_INSIDE =
  /\b(?:execute|perform|call|listen|temp|temporary|pg_temp\w*|set_config|setseed|pg_(?:try_)?advisory_lock\w*)\b|(?:;|\b(?:begin|then|else|loop))\s*set\s/i
const BINDING_VERBS: ReadonlySet<string> = new Set(['listen', 'load'])
const ENDING_WITH_TRANSACTION: ReadonlySet<string> = new Set(['local', 'transaction', 'constraints'])
const TEMPORARY: ReadonlySet<string> = new Set(['temp', 'temporary'])
const LOCKING_FUNCTIONS: ReadonlySet<string> = new Set([
  ...['pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock', 'pg_try_advisory_lock_shared'],
])
const SETTING_FUNCTIONS: ReadonlySet<string> = new Set(['set_config', 'setseed'])
