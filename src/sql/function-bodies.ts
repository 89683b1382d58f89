import type { BodyRow } from './catalog-queries.ts'
import { KEY_WORDS, NEVER_CALLED, RESERVED } from './key-words.ts'
import { Lexer, TOKEN } from './lexer.ts'
import { operatorsIn } from './scan.ts'
import type { FunctionCall } from './statement-text.ts'
import type { NameMap, TableName } from './table-names.ts'

/**
 * How long a text may be to be read, in characters. A function that only reads is hardly ever longer, so a longer one
 * counts as unreadable.
 */
const MAX_LENGTH = 200_000

/** A function of the application that is declared stable or immutable, without its text. */
export type BodyOwner = Omit<BodyRow, 'body'>

/** An object that the text of a function may name. */
interface Named {
  readonly schema?: string
  readonly name: string
}

/** An index of the names in the texts of the functions that are declared stable or immutable. */
export class FunctionBodies {
  /** The functions whose texts were read. */
  readonly owners: BodyOwner[] = []
  readonly #callers = new Map<string, Naming[]>()
  readonly #readers = new Map<string, Naming[]>()
  readonly #casters = new Map<string, Naming[]>()

  /** Adds the text of a function. Gives false if the text could not be read. */
  add({ owner, calls, names, isReadable }: ReadBody): boolean {
    if (!isReadable) return false
    this.owners.push(owner)
    for (const { schema, name } of calls) note(this.#callers, name, { schema, owner })
    for (const { schema, table, isAsType } of names) {
      note(isAsType === true ? this.#casters : this.#readers, table, { schema, owner })
    }
    return true
  }

  /** The functions whose texts call `item`, read it, or cast to it. */
  callersOf(item: Named & { readonly kind: 'function' | 'relation' | 'operator' | 'type' }): BodyOwner[] {
    if (item.kind === 'function') return find(this.#callers, item)
    if (item.kind === 'relation') return this.naming(item)
    // An operator has no callers here: `TypeUses` finds its uses by its types, or else by its sign.
    return item.kind === 'type' ? this.castersOf(item) : []
  }

  /** The functions whose texts have this name in them, or this operator sign. */
  naming(named: Named): BodyOwner[] {
    return find(this.#readers, named)
  }

  /**
   * The functions whose texts have this type in a place where only a type can stand, or cast to it as if they called
   * it.
   */
  castersOf(type: Named): BodyOwner[] {
    return [...find(this.#casters, type), ...find(this.#callers, type)]
  }

  /** The functions whose texts have this name after another name and a dot. */
  qualifying(name: string): BodyOwner[] {
    return (this.#readers.get(name) ?? [])
      .filter(({ schema }) => schema !== undefined)
      .map(({ owner }) => owner)
  }

  /** Whether the text of this function has one of these names in it. */
  names({ oid }: BodyOwner, names: NameMap<true>): boolean {
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

/** A function, and the names that its text has in it. */
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
  /** Every name with a parenthesis after it, and every attribute of an expression. */
  readonly calls: readonly FunctionCall[]
  /** Every name and every operator. A few of them are relations. */
  readonly names: readonly TableName[]
  /** Whether the lexer could read it to its end. If not, names may be missing. */
  readonly isReadable: boolean
}

/** Reads which names a body has in it, and which of them have a parenthesis after them. */
function readFunctionBody(text: string): FunctionBody {
  const body = new BodyReader(text)
  if (!body.isDynamic) return body
  // `execute` runs what is in strings, so strings are read like the rest. In them, even `order` may be a name: the
  // one that `quote_ident('order')` quotes.
  return new BodyReader(withoutQuotes(text), true)
}

/**
 * Removes the quotes of strings from a text. A `$` within a word is a part of a name, and so is everything in a
 * quoted name.
 */
function withoutQuotes(text: string): string {
  let bare = text
  for (const tag of new Set(text.match(DOLLAR_QUOTES))) bare = bare.replaceAll(tag, ' ')
  return bare.replace(NO_PART_OF_NAMES, (found) => (found.startsWith('"') ? found.replace(QUOTES, "'") : ' '))
}

const DOLLAR_QUOTES = /(?<![\w\u0080-\uffff$])\$(?:[^\W\d]\w*)?\$/g
/** An apostrophe in a string is written twice. */
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
  /** Whether the name is an attribute of an expression, `(x).name`: that may be a call. */
  #isAttribute = false

  /** With `namesReserved`, a reserved key word may be a name too. */
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
      // A type may stand before a string: `mood 'happy'`.
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
    // In `item.id%type`, `item` names a type as well.
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

/** Follows where in a body only a type can stand: after `::`, in `cast(… as …)`, and in PL/pgSQL's declarations. */
class TypePlaces {
  /** Whether the next name is that of a type. */
  isAtType = false
  /** For each open parenthesis, whether it is that of a `cast` or the like. */
  readonly #casts: boolean[] = []
  #lastWord = ''
  #isDeclaring = false
  /** Whether the declared name was read, but not yet its value. */
  #isBehindDeclared = false
  /** Whether the next name is the declared one. */
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

  /** Reads `name type := value;`. Gives whether the declared name was read, but not yet its value. */
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
