/**
 * The name of a relation, as a statement or an option has it. In the texts of functions and in the facts on types, it
 * may also be the name of a type, function or operator.
 */
export interface TableName {
  readonly schema?: string | undefined
  readonly table: string
  /** Whether it stands in the place of a type: after `::`, in a `cast`, before a string, or before a parenthesis. */
  readonly isAsType?: boolean
}

/**
 * Reads a name from an option: `table` or `schema.table`, spelled as in the database, with quotes as in a statement
 * or without.
 */
export function parseTableName(name: string): TableName {
  const dot = name.indexOf('.')
  if (dot === -1) return { table: unquoted(name) }
  return { schema: unquoted(name.slice(0, dot)), table: unquoted(name.slice(dot + 1)) }
}

function unquoted(part: string): string {
  const name = part.trim()
  return QUOTED.test(name) ? name.slice(1, -1).replaceAll('""', '"') : name
}

const QUOTED = /^".+"$/

/** Whether both names could mean one table. A name without a schema may be in any schema. */
export function mayBeSameTable(a: TableName, b: TableName): boolean {
  return a.table === b.table && (a.schema === undefined || b.schema === undefined || a.schema === b.schema)
}

/**
 * Whether the table of a statement is surely one that the option names. An option without a schema means every
 * schema.
 */
export function isSurelyNamed(inStatement: TableName, inOption: TableName): boolean {
  return (
    inStatement.table === inOption.table &&
    (inOption.schema === undefined || inStatement.schema === inOption.schema)
  )
}

/** The schema of names that may follow any schema, such as an operator. */
const ANYWHERE = ''

/**
 * Values by the names of relations, types, functions and operators. Names are spelled as in the database: those that
 * a text writes without quotes are in lower case. If a name is looked up without a schema, it may be in any schema;
 * with a schema, only in that one.
 */
export class NameMap<Value> {
  readonly #byName = new Map<string, Map<string, Value>>()

  /**
   * Adds a name. Without `schema`, it counts after any schema. If the name is there already, its first value stays.
   */
  add({ schema = ANYWHERE, table }: TableName, value: Value): void {
    const bySchema = this.#byName.get(table) ?? new Map<string, Value>()
    if (bySchema.size === 0) this.#byName.set(table, bySchema)
    if (!bySchema.has(schema)) bySchema.set(schema, value)
  }

  find({ schema, table }: TableName): Value | undefined {
    const bySchema = this.#byName.get(table)
    if (bySchema === undefined) return undefined
    if (schema === undefined) return bySchema.values().next().value
    return bySchema.get(schema) ?? bySchema.get(ANYWHERE)
  }

  /** One of the values; undefined if there are none. */
  get first(): Value | undefined {
    for (const bySchema of this.#byName.values()) return bySchema.values().next().value
    return undefined
  }

  /** The names without their schemas. */
  get names(): Iterable<string> {
    return this.#byName.keys()
  }
}

/**
 * A set of names to look for in texts. Nearly no name of a text is in it, so it has a fast negative check by length.
 */
export class WatchedNames {
  readonly #names = new Set<string>()
  #lengths = 0

  constructor(names: Iterable<string> = []) {
    for (const name of names) this.add(name)
  }

  /**
   * Adds a name as it is spelled, and in lower case, because options do not always spell names as the database does.
   */
  add(name: string): void {
    for (const spelling of [name, name.toLowerCase()]) {
      this.#names.add(spelling)
      this.#lengths |= bitOf(spelling)
    }
  }

  has(name: string): boolean {
    return (this.#lengths & bitOf(name)) !== 0 && this.#names.has(name)
  }
}

// Lengths that differ by 32 share a bit. That costs only a look-up in the set.
function bitOf({ length }: string): number {
  return 1 << length
}
