/** A table, as a statement or an option names it. */
export interface TableName {
  readonly schema?: string | undefined
  readonly table: string
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
