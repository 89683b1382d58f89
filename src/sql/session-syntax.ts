import { TOKEN } from './lexer.ts'
import type { NamedWork } from './statement-text.ts'

/**
 * Reads a statement about the session token by token: the name of the prepared statement or cursor that it uses, and
 * the place where its inner statement begins.
 */
export class SessionSyntax {
  readonly #verb: string
  #tokens = 0
  #name: string | undefined
  /** The last token that could be a name. */
  #lastName: string | undefined
  #isInnerNext = false
  #kind = ''

  constructor(verb: string) {
    this.#verb = verb
  }

  /** Reads the next token. `depth` is 0 outside parentheses. Gives true if the inner statement begins at this token. */
  read(kind: number, text: string, depth: number): boolean {
    if (this.#isInnerNext) return true
    if (kind === TOKEN.word || kind === TOKEN.quoted) this.#readName(kind, text, depth)
    this.#tokens++
    return false
  }

  /** What the statement does with a name; undefined for nothing. */
  get named(): NamedWork | undefined {
    const name = this.#verb === 'deallocate' || FETCHES.has(this.#verb) ? this.#lastName : this.#name
    switch (this.#verb) {
      case 'prepare':
        return this.#isInnerNext ? { does: 'prepare', name } : undefined
      case 'execute':
        return { does: 'execute', name }
      case 'declare':
        return { does: 'declare', name }
      case 'fetch':
      case 'move':
        return { does: 'fetch', name }
      case 'deallocate':
        return { does: 'forget', name: name === 'all' ? undefined : name }
      case 'discard':
        return { does: 'forget', name: undefined }
      default:
        return undefined
    }
  }

  #readName(kind: number, text: string, depth: number): void {
    if (this.#tokens === 1) this.#name = text
    if (this.#tokens > 0) this.#lastName = text
    if (kind !== TOKEN.word || depth > 0) return
    if (this.#verb === 'create' && FILLED.has(text)) this.#kind ||= text
    // `create temp sequence … as integer` has no inner statement.
    const word = this.#verb === 'declare' ? 'for' : 'as'
    const mayHold = this.#verb === 'create' ? this.#kind !== '' : HOLD.has(this.#verb)
    if (mayHold && text === word && this.#tokens > 1) this.#isInnerNext = true
  }
}

const FETCHES: ReadonlySet<string> = new Set(['fetch', 'move'])
const HOLD: ReadonlySet<string> = new Set(['prepare', 'declare'])
const FILLED: ReadonlySet<string> = new Set(['table', 'view'])
