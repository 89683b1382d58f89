import type { BodyRow } from './catalog-queries.ts'
import { KEY_WORDS, NEVER_CALLED, RESERVED } from './key-words.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { operatorsIn } from './scan.ts'
import type { FunctionCall } from './statement-text.ts'
import type { RelationNames, TableName } from './table-names.ts'

/** Of one text so many characters are read: one that is longer is too odd for a function that only reads. */
const MAX_LENGTH = 200_000

/** A function of the application's that is declared stable or immutable, without its text. */
export type BodyOwner = Omit<BodyRow, 'body'>

/** What their texts may name. */
interface Named {
  readonly schema?: string
  readonly name: string
}

/** The texts of the functions that are declared stable or immutable, as an index of the names that stand in them. */
export class FunctionBodies {
  /** All of them. */
  readonly owners: BodyOwner[] = []
  readonly #callers = new Map<string, Naming[]>()
  readonly #readers = new Map<string, Naming[]>()
  readonly #casters = new Map<string, Naming[]>()

  /** Adds the text of a function as it was read; false where it could not be. */
  add({ owner, calls, names, isReadable }: ReadBody): boolean {
    if (!isReadable) return false
    this.owners.push(owner)
    for (const { schema, name } of calls) note(this.#callers, name, { schema, owner })
    for (const { schema, table, isAsType } of names) {
      note(isAsType === true ? this.#casters : this.#readers, table, { schema, owner })
    }
    return true
  }

  /** The functions whose texts call it, read it, or cast to it. */
  callersOf(item: Named & { readonly kind: 'function' | 'relation' | 'operator' | 'type' }): BodyOwner[] {
    if (item.kind === 'function') return find(this.#callers, item)
    if (item.kind === 'relation') return this.naming(item)
    // What an operator is used with is told by its types, and where it is not, by its sign.
    return item.kind === 'type' ? this.castersOf(item) : []
  }

  /** Those in which this name stands, or this sign. */
  naming(named: Named): BodyOwner[] {
    return find(this.#readers, named)
  }

  /** Those in which this type stands where only a type can, or is cast to like a function. */
  castersOf(type: Named): BodyOwner[] {
    return [...find(this.#casters, type), ...find(this.#callers, type)]
  }

  /** Those in which this name stands behind that of something else, and a dot. */
  qualifying(name: string): BodyOwner[] {
    return (this.#readers.get(name) ?? [])
      .filter(({ schema }) => schema !== undefined)
      .map(({ owner }) => owner)
  }

  /** Whether one of these names stands in the text of this function. */
  names({ oid }: BodyOwner, names: RelationNames<true>): boolean {
    for (const name of names.names) {
      const namings = this.#readers.get(name)
      const isNamed = ({ schema, owner }: Naming) =>
        owner.oid === oid && names.find({ schema, table: name }) === true
      if (namings?.some(isNamed) === true) return true
    }
    return false
  }
}

function find(index: ReadonlyMap<string, Naming[]>, { schema, name }: Named): BodyOwner[] {
  return (index.get(name) ?? [])
    .filter((each) => schema === undefined || each.schema === undefined || each.schema === schema)
    .map(({ owner }) => owner)
}

/** A function, and what was read in its text. */
export interface ReadBody extends FunctionBody {
  readonly owner: BodyOwner
}

/** Reads the text of a function. */
export function readBody({ body, ...owner }: BodyRow): ReadBody {
  const { calls, names, isReadable } = body.length > MAX_LENGTH ? UNREADABLE : readFunctionBody(body)
  return { owner, calls, names, isReadable }
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
  // What `execute` runs stands in strings: they are read like the rest. There `order` may be the name that `quote_ident('order')` quotes.
  return new BodyReader(withoutQuotes(text), true)
}

/** The same without the marks of its strings. A `$` within a word is a part of a name, and so is what stands in a quoted one. */
function withoutQuotes(text: string): string {
  let bare = text
  for (const tag of new Set(text.match(DOLLAR_QUOTES))) bare = bare.replaceAll(tag, ' ')
  return bare.replace(NO_PART_OF_NAMES, (found) => (found.startsWith('"') ? found.replace(QUOTES, "'") : ' '))
}

const DOLLAR_QUOTES = /(?<![\w\u0080-\uffff$])\$(?:[^\W\d]\w*)?\$/g
/** In a string an apostrophe is written twice. */
const QUOTES = /'+/g
const NO_PART_OF_NAMES = /"(?:[^"]|"")*"|'|(?<![\w\u0080-\uffff])\$|\$(?![\w\u0080-\uffff])/g

class BodyReader implements FunctionBody {
  readonly calls: FunctionCall[] = []
  readonly names: TableName[] = []
  isReadable = true
  isDynamic = false
  readonly #seen = new Set<string>()
  readonly #places = new TypePlaces()
  readonly #namesReserved: boolean
  #schema: string | undefined
  #name = ''
  #isKeyWord = false
  #isType = false
  /** Whether it is the attribute of an expression, `(x).name`: that may be a call. */
  #isAttribute = false

  /** With `namesReserved`, a reserved key word may be a name as well. */
  constructor(text: string, namesReserved = false) {
    this.#namesReserved = namesReserved
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
      // `mood 'happy'`
      else if (kind === TOKEN.string) this.#endName(false, true)
      else if (!isDot) this.#endName(false)
      if (!isDot) this.#places.read(kind, part)
      isBehindDot = isDot
    }
    this.#endName(false)
  }

  #readName(kind: number, part: string, isBehindDot: boolean): void {
    const isPartOfChain = isBehindDot && this.#name !== ''
    const schema = isPartOfChain ? this.#name : undefined
    // `item.id%type`: what the type is of is a part of its name.
    if (isPartOfChain && this.#isType) this.#note({ schema: this.#schema, table: this.#name, isAsType: true })
    if (!isPartOfChain) {
      this.#endName(false)
      this.#isType = this.#places.isAtType
      this.#isAttribute = isBehindDot
    }
    this.#schema = schema
    this.#name = part
    this.#isKeyWord = kind === TOKEN.word && !isPartOfChain && KEY_WORDS.has(part)
    if (kind === TOKEN.word && part === 'execute') this.isDynamic = true
  }

  #endName(isCall: boolean, isType = this.#isType): void {
    const name = this.#name
    const schema = this.#schema
    if (name === '') return
    this.#name = ''
    if (isType) this.#note({ schema, table: name, isAsType: true })
    const isSyntax = this.#isKeyWord && NEVER_CALLED.has(name)
    const isNoName = this.#isKeyWord && (RESERVED.has(name) || isType || (isSyntax && isCall))
    if (!isNoName || this.#namesReserved) this.#note({ schema, table: name })
    if (!isCall && !this.#isAttribute) return
    const key = `( ${schema ?? ''}.${name}`
    if (this.#seen.has(key) || isSyntax) return
    this.#seen.add(key)
    this.calls.push({ schema, name, isKeyWord: this.#isKeyWord })
  }

  #readOperator(token: string): void {
    this.#endName(false)
    for (const operator of operatorsIn(token)) this.#note({ table: operator })
  }

  #note(name: TableName): void {
    const key = `${name.isAsType === true} ${name.schema ?? ''}.${name.table}`
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    this.names.push(name)
  }
}

/** Where in a body only a type can stand: behind `::`, in `cast(… as …)`, in what PL/pgSQL declares. */
class TypePlaces {
  /** Whether the next name is that of a type. */
  isAtType = false
  /** Whether each parenthesis that is open is one of `cast`. */
  readonly #casts: boolean[] = []
  #lastWord = ''
  #isDeclaring = false
  /** Whether the name that is declared has been read, and no value of it yet. */
  #isBehindDeclared = false
  /** Whether the next name is what is declared. */
  #isAtDeclared = false

  read(kind: number, text: string): void {
    const word = kind === TOKEN.word ? text : ''
    if (kind === TOKEN.punctuation && text === '(') this.#casts.push(CASTS.has(this.#lastWord))
    if (kind === TOKEN.punctuation && text === ')') this.#casts.pop()
    if (word === 'declare') this.#isDeclaring = true
    if (word === 'begin') this.#isDeclaring = false
    if (this.#isDeclaring) this.#isBehindDeclared = this.#readDeclared(text, word)
    this.isAtType =
      text === '::' ||
      (word === 'as' && this.#casts.at(-1) === true) ||
      (this.#isDeclaring && this.#isBehindDeclared)
    this.#lastWord = word
  }

  /** `name type := value;` */
  #readDeclared(text: string, word: string): boolean {
    if (word === 'declare' || text === ';') {
      this.#isAtDeclared = true
      return false
    }
    const isDeclared = this.#isAtDeclared
    this.#isAtDeclared = false
    return isDeclared || (this.#isBehindDeclared && text !== ':=' && text !== '=' && word !== 'default')
  }
}

const CASTS = new Set(['cast', 'treat', 'xmlserialize'])
