import { KEY_WORDS, NEVER_CALLED } from './key-words.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { operatorsIn } from './scan.ts'
import type { FunctionCall } from './statement-text.ts'
import type { TableName } from './table-names.ts'

/** What the body of a function in SQL or PL/pgSQL may call and read. */
export interface FunctionBody {
  /** Every name with a parenthesis behind it. */
  readonly calls: readonly FunctionCall[]
  /** Every name and every operator: a few of them are those of relations. */
  readonly names: readonly TableName[]
  /** Whether the lexer could read it to its end; any name may be missing otherwise. */
  readonly isReadable: boolean
}

/** Reads a body as far as the lexer knows it: which names stand in it, and which with a parenthesis behind them. */
export function readFunctionBody(text: string): FunctionBody {
  const body = new BodyReader(text)
  if (!body.isDynamic) return body
  // What `execute` runs stands in strings: they are read like the rest.
  return new BodyReader(text.replace(/['$]/g, ' '))
}

class BodyReader implements FunctionBody {
  readonly calls: FunctionCall[] = []
  readonly names: TableName[] = []
  isReadable = true
  isDynamic = false
  readonly #seen = new Set<string>()
  #schema: string | undefined
  #name = ''
  #isKeyWord = false

  constructor(text: string) {
    const lexer = new Lexer(text)
    let isBehindDot = false
    for (lexer.next(); lexer.kind !== TOKEN.end; lexer.next()) {
      const { kind, text: part } = lexer
      if (kind === TOKEN.unreadable) {
        this.isReadable = false
        break
      }
      const isDot = lexer.isAt('.')
      if (kind === TOKEN.word || kind === TOKEN.quoted) this.#readName(kind, part, isBehindDot)
      else if (kind === TOKEN.operator) this.#readOperator(part)
      else if (lexer.isAt('(')) this.#endName(true)
      else if (!isDot) this.#endName(false)
      isBehindDot = isDot
    }
    this.#endName(false)
  }

  #readName(kind: number, part: string, isBehindDot: boolean): void {
    const isPartOfChain = isBehindDot && this.#name !== ''
    const schema = isPartOfChain ? this.#name : undefined
    if (!isPartOfChain) this.#endName(false)
    this.#schema = schema
    this.#name = part
    this.#isKeyWord = kind === TOKEN.word && !isPartOfChain && KEY_WORDS.has(part)
    if (kind === TOKEN.word && part === 'execute') this.isDynamic = true
  }

  #endName(isCall: boolean): void {
    const name = this.#name
    const schema = this.#schema
    if (name === '') return
    this.#name = ''
    const key = `${isCall} ${schema ?? ''}.${name}`
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    this.names.push({ schema, table: name })
    if (isCall && !(this.#isKeyWord && NEVER_CALLED.has(name)))
      this.calls.push({ schema, name, isKeyWord: this.#isKeyWord })
  }

  #readOperator(token: string): void {
    this.#endName(false)
    for (const operator of operatorsIn(token)) {
      if (!this.#seen.has(operator)) this.names.push({ table: operator })
      this.#seen.add(operator)
    }
  }
}
