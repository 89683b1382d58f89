/** A table, as a statement or an option names it. */
export interface TableName {
  readonly schema?: string | undefined
  readonly table: string
  /** Whether it stands where a type may be named: behind `::`, in a `cast`, before a string, or like a function that is called. */
  readonly isAsType?: boolean
}

/** Reads a name from an option: `table` or `schema.table`, as the database spells it. */
export function parseTableName(name: string): TableName {
  const dot = name.indexOf('.')
  if (dot === -1) return { table: name.trim() }
  return { schema: name.slice(0, dot).trim(), table: name.slice(dot + 1).trim() }
}

/** Whether the two could be one table: a name without a schema may lie in any. */
export function mayBeSameTable(a: TableName, b: TableName): boolean {
  return a.table === b.table && (a.schema === undefined || b.schema === undefined || a.schema === b.schema)
}

/** Whether a table of a statement is surely what the option names; an option without a schema means every schema. */
export function isSurelyNamed(inStatement: TableName, inOption: TableName): boolean {
  return (
    inStatement.table === inOption.table &&
    (inOption.schema === undefined || inStatement.schema === inOption.schema)
  )
}

/** In whose schema a name lies that statements may write behind anything: an operator, a function read like a column. */
const ANYWHERE = ''

/**
 * Values by the names of relations, types and operators. A name without a schema may be that of any; one with a schema is only its
 * own. Upper and lower case are one: names in options are not always spelled as the database does.
 */
export class RelationNames<Value> {
  readonly #byName = new Map<string, Map<string, Value>>()
  readonly #spellings = new Set<string>()

  /** Adds a name; without `schema` it counts whatever stands before it. The first value of a name stays. */
  add({ schema = ANYWHERE, table }: TableName, value: Value): void {
    this.#spellings.add(table)
    const key = table.toLowerCase()
    const bySchema = this.#byName.get(key) ?? new Map<string, Value>()
    if (bySchema.size === 0) this.#byName.set(key, bySchema)
    const schemaKey = schema.toLowerCase()
    if (!bySchema.has(schemaKey)) bySchema.set(schemaKey, value)
  }

  find({ schema, table }: TableName): Value | undefined {
    const bySchema = this.#byName.get(table.toLowerCase())
    if (bySchema === undefined) return undefined
    if (schema === undefined) return bySchema.values().next().value
    return bySchema.get(schema.toLowerCase()) ?? bySchema.get(ANYWHERE)
  }

  /** The names without their schemas, as the database spells them. */
  get names(): Iterable<string> {
    return this.#spellings
  }
}

/** Names to look out for. Nearly every name of a text is none of them, which its length mostly tells already. */
export class Watch {
  readonly #names = new Set<string>()
  #lengths = 0

  constructor(names: Iterable<string> = []) {
    for (const name of names) this.add(name)
  }

  /** Adds a name as it is spelled, and in lower case: names in options are not always spelled as the database does. */
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

// Lengths that differ by 32 share a bit, which costs a look into the set.
function bitOf({ length }: string): number {
  return 1 << length
}
