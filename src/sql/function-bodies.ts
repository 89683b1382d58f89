import type { BodyRow } from './catalog-queries.ts'
import { KEY_WORDS, NEVER_CALLED } from './key-words.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { operatorsIn } from './scan.ts'
import type { FunctionCall } from './statement-text.ts'
import type { TableName } from './table-names.ts'

/** Of one text so many characters are read: one that is longer is too odd for a function that only reads. */
const MAX_LENGTH = 200_000

/** A function of the application's that is declared stable or immutable, without its text. */
export type BodyOwner = Omit<BodyRow, 'body'>

/** What their texts may name. */
interface Named {
  readonly kind: 'function' | 'relation' | 'operator' | 'type' | 'column'
  readonly schema: string
  readonly name: string
}

/** The texts of the functions that are declared stable or immutable, as an index of the names that stand in them. */
export class FunctionBodies {
  readonly #callers = new Map<string, Naming[]>()
  readonly #readers = new Map<string, Naming[]>()

  /** Reads the text of a function; false where it cannot be read. */
  add({ body, ...owner }: BodyRow): boolean {
    const { calls, names, isReadable } = body.length > MAX_LENGTH ? UNREADABLE : readFunctionBody(body)
    if (!isReadable) return false
    for (const { schema, name } of calls) note(this.#callers, name, { schema, owner })
    for (const { schema, table } of names) note(this.#readers, table.toLowerCase(), { schema, owner })
    return true
  }

  /** The functions whose texts call or read it. */
  callersOf({ kind, schema, name }: Named): BodyOwner[] {
    const namings = kind === 'function' ? this.#callers.get(name) : this.#readers.get(name.toLowerCase())
    if (namings === undefined) return []
    const isAnywhere = kind === 'operator' || kind === 'column'
    return namings
      .filter((each) => isAnywhere || each.schema === undefined || each.schema === schema)
      .map(({ owner }) => owner)
  }
}

const UNREADABLE: FunctionBody = { calls: [], names: [], isReadable: false }

/** A name in the text of a function. */
interface Naming {
  readonly schema: string | undefined
  readonly owner: BodyOwner
}

function note(index: Map<string, Naming[]>, name: string, naming: Naming): void {
  const known = index.get(name)
  if (known === undefined) index.set(name, [naming])
  else known.push(naming)
}

/** What the body of a function in SQL or PL/pgSQL may call and read. */
interface FunctionBody {
  /** Every name with a parenthesis behind it. */
  readonly calls: readonly FunctionCall[]
  /** Every name and every operator: a few of them are those of relations. */
  readonly names: readonly TableName[]
  /** Whether the lexer could read it to its end; any name may be missing otherwise. */
  readonly isReadable: boolean
}

/** Reads a body as far as the lexer knows it: which names stand in it, and which with a parenthesis behind them. */
function readFunctionBody(text: string): FunctionBody {
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
