import type { TableName } from './table-name.ts'

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
