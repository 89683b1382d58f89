import type { Cause } from './cause.ts'
import { INPUT_FUNCTIONS, POPULATING_FUNCTIONS } from './known-functions.ts'
import type { StatementText } from './statement-text.ts'
import { NameMap, type TableName } from './table-names.ts'

/**
 * Which types run a function that may do more than read, although the text has no call of it, and which names in a
 * text show that.
 *
 * - *Operated*: an operator or a cast of the type calls the function. A statement does so only with a value of the
 *   type. Its text then names a table, a type or a function that gives such a value.
 * - *Checked*: the constraint of a domain calls the function. A cast to the domain does so. The text then names the
 *   domain.
 * - *Row function*: `row.name` calls the function, and reads like a column.
 */
export class TypeFacts {
  /** The names of the types, relations and functions that give a value of an operated type. */
  readonly #operated = new NameMap<Cause>()
  /** The names of the types to which a cast checks: the domains, and types that contain one. */
  readonly #checked = new NameMap<Cause>()
  /** The relations that have a column of a checked type. A function may make a row of one from JSON. */
  readonly #checkedRows = new NameMap<Cause>()
  /** The operators whose sign alone shows that they are used. */
  readonly #signs = new NameMap<Cause>()
  readonly #rowFunctions = new Map<string, RowFunction[]>()
  /**
   * The cause, if an operator or cast between PostgreSQL's own types calls a function. Then any operator and any cast
   * in any text may. Undefined otherwise.
   */
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

  /** Adds an operator or cast between PostgreSQL's own types: no name in a text shows that it is used. */
  addEverywhere(cause: Cause): void {
    this.#everywhere ??= cause
  }

  /** Adds a row function. `holders` are the names that give such a row; undefined for a function of any row. */
  addRowFunction(name: string, cause: Cause, holders: NameMap<true> | undefined): void {
    const known = this.#rowFunctions.get(name)
    if (known === undefined) this.#rowFunctions.set(name, [{ cause, holders }])
    else known.push({ cause, holders })
  }

  /** Gives the first name in a text whose use calls such a function, and the cause; undefined for none. */
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

  /** The cause, if a function makes a value of a checked type, and only a row type or a string names that type. */
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

/** Whether a text has one of these names in a place where it gives a value. */
function namesOne({ relations, watched, calls }: StatementText, names: NameMap<true>): boolean {
  return (
    relations.some((each) => names.find(each) === true) ||
    watched.some((each) => each.isAsType === true && names.find(each) === true) ||
    calls.some(({ schema, name }) => names.find({ schema, table: name }) === true)
  )
}

interface RowFunction {
  readonly cause: Cause
  /** The names of the relations, types and functions that give such a row; undefined for any row. */
  readonly holders: NameMap<true> | undefined
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

/** The names that SQL has for PostgreSQL's types. If a name has several words, the first one. */
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
