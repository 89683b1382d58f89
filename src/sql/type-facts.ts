import type { Cause } from './cause.ts'
import { INPUT_FUNCTIONS, POPULATING_FUNCTIONS } from './known-functions.ts'
import type { StatementText } from './statement-text.ts'
import { RelationNames, type TableName } from './table-names.ts'

/**
 * What the types of a database call although a text calls nothing, and what in a text shows that.
 *
 * - A type is *operated* if one of its operators or casts calls a function that may do more than read. That takes a
 *   value of the type, and the text names what the value comes from.
 * - A type is *checked* if the constraint of a domain does so. That takes a cast, which names the type.
 * - A *row function* is read like a column.
 */
export class TypeFacts {
  /** The names by which a text comes to a value of an operated type: those of types, relations and functions. */
  readonly #operated = new RelationNames<Cause>()
  /** The names by which a text casts to a checked type. */
  readonly #checked = new RelationNames<Cause>()
  /** The relations that have a column of a checked type: JSON may be made into a row of them. */
  readonly #checkedRows = new RelationNames<Cause>()
  /** The operators whose sign alone shows that they are used. */
  readonly #signs = new RelationNames<Cause>()
  readonly #rowFunctions = new Map<string, RowFunction[]>()
  /** The cause, if any operator and any cast may call something; undefined otherwise. */
  #everywhere: Cause | undefined

  addOperated(name: TableName, cause: Cause): void {
    this.#operated.add(name, cause)
  }

  addChecked(name: TableName, cause: Cause): void {
    this.#checked.add(name, cause)
  }

  addCheckedRow(name: TableName, cause: Cause): void {
    this.#checkedRows.add(name, cause)
  }

  /** Adds a cast to one of PostgreSQL's types from another one. Gives all names of that type. */
  addCast(type: string, cause: Cause): readonly string[] {
    const spellings = [type, ...(SPELLINGS[type] ?? [])]
    for (const table of spellings) this.#checked.add({ table }, cause)
    return spellings
  }

  addSign(sign: string, cause: Cause): void {
    for (const table of sign === '<>' ? ['<>', '!='] : [sign]) this.#signs.add({ table }, cause)
  }

  /** Adds something between PostgreSQL's own types that no name shows. */
  addEverywhere(cause: Cause): void {
    this.#everywhere ??= cause
  }

  /** Adds a function of a row. If `holders` is undefined, it is a function of any row. */
  addRowFunction(name: string, cause: Cause, holders: RelationNames<true> | undefined): void {
    const known = this.#rowFunctions.get(name)
    if (known === undefined) this.#rowFunctions.set(name, [{ cause, holders }])
    else known.push({ cause, holders })
  }

  /** Gives the first thing in a text that calls a function without naming it, and the cause; undefined for none. */
  causeIn(text: StatementText): NamedCause | undefined {
    for (const relation of text.watched) {
      const cause = this.#causeOfWatched(relation, text)
      if (cause !== undefined) return { relation, cause }
    }
    for (const relation of text.operates ? text.relations : []) {
      const cause = this.#operated.find(relation)
      if (cause !== undefined) return { relation, cause }
    }
    for (const { schema, name } of text.calls) {
      const relation = { schema, table: name }
      // A cast may be written like a call, or like an attribute.
      const cause =
        this.#checked.find(relation) ?? this.#operated.find(relation) ?? this.#causeOfReading(name, text)
      if (cause !== undefined) return { relation, cause }
    }
    if (!text.operates || this.#everywhere === undefined) return undefined
    return { relation: { table: 'an operator' }, cause: this.#everywhere }
  }

  /** The names to watch for in a text. */
  *names(): Generator<string> {
    const all = [this.#operated, this.#checked, this.#checkedRows, this.#signs]
    for (const { names } of all) yield* names
    for (const [name, functions] of this.#rowFunctions) {
      yield name
      for (const { holders } of functions) if (holders !== undefined) yield* holders.names
    }
  }

  #causeOfWatched(name: TableName, text: StatementText): Cause | undefined {
    const { isAsType, schema, table } = name
    const byType = isAsType === true ? (this.#checked.find(name) ?? this.#operated.find(name)) : undefined
    if (byType !== undefined) return byType
    const bySign = text.operates ? this.#signs.find(name) : undefined
    if (bySign !== undefined || schema === undefined) return bySign
    const functions = this.#rowFunctions.get(table)
    return functions?.find(({ holders }) => holders === undefined || namesOne(text, holders))?.cause
  }

  /** The cause, if a function reads a value of a checked type that a row or a string tells. */
  #causeOfReading(name: string, { relations }: StatementText): Cause | undefined {
    if (INPUT_FUNCTIONS.has(name)) return this.#checked.first
    if (!POPULATING_FUNCTIONS.has(name)) return undefined
    for (const relation of relations) {
      const cause = this.#checkedRows.find(relation)
      if (cause !== undefined) return cause
    }
    return undefined
  }
}

/** Whether a text comes to a value by one of these names. */
function namesOne({ relations, watched, calls }: StatementText, names: RelationNames<true>): boolean {
  return (
    relations.some((each) => names.find(each) === true) ||
    watched.some((each) => each.isAsType === true && names.find(each) === true) ||
    calls.some(({ schema, name }) => names.find({ schema, table: name }) === true)
  )
}

interface RowFunction {
  readonly cause: Cause
  /** The names by which a text comes to such a row; undefined for any row. */
  readonly holders: RelationNames<true> | undefined
}

interface NamedCause {
  readonly relation: TableName
  readonly cause: Cause
}

/**
 * Whether an operator is also used without its sign: `in`, `between`, `case`, `order by`, `like` and others use
 * these.
 */
export function isUsedWithoutSign(sign: string): boolean {
  return SIGNLESS.has(sign)
}

const SIGNLESS = new Set(['=', '<>', '<', '>', '<=', '>=', '~~', '!~~', '~~*', '!~~*', '~', '!~'])

/** SQL's names of PostgreSQL's types. Of a name of several words, the first one. */
const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  int2: ['smallint'],
  int4: ['int', 'integer'],
  int8: ['bigint'],
  float4: ['real', 'float'],
  float8: ['double', 'float'],
  numeric: ['decimal', 'dec'],
  bool: ['boolean'],
  bpchar: ['character', 'char', 'nchar', 'national'],
  varchar: ['character', 'char', 'national', 'nchar'],
  varbit: ['bit'],
  timetz: ['time'],
  timestamptz: ['timestamp'],
}
