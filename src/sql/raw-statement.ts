import { mayBeSameTable, readTableName, TABLE_NAME_PATTERN, type TableName } from './table-name.ts'

/** What the first words of a raw SQL text tell. */
export interface RawStatement {
  /** Whether it is taken for a read: its first word is `select`, `values`, `table` or `show`. */
  readonly isRead: boolean
  /** The table that a plain insert, update, delete or merge writes to; undefined where it is not so plain. */
  readonly target: TableName | undefined
  /** Whether it is an update, delete or merge, which of no row has no effect. */
  readonly isRowless: boolean
}

/** Reads the first words of a raw SQL text; whatever it does not know is taken for a write. */
export function readRawStatement(sql: string): RawStatement {
  const word = FIRST_WORD.exec(sql)?.[1]?.toLowerCase()
  if (word !== undefined && READS.has(word)) return A_READ
  const [, verb, name] = TARGET.exec(sql) ?? []
  if (verb === undefined || name === undefined) return SOME_WRITE
  return {
    isRead: false,
    // Behind a semicolon there may be another statement, with another table.
    target: sql.includes(';') ? undefined : readTableName(name),
    isRowless: !verb.toLowerCase().startsWith('insert'),
  }
}

/** Whether a raw text names one of the tables anywhere, be it in a string: doubt means that it does. */
export function namesAnyTable(sql: string, tables: readonly TableName[]): boolean {
  const lower = sql.toLowerCase()
  return tables.some((each) => {
    if (!lower.includes(each.table.toLowerCase())) return false
    return (sql.match(NAMES) ?? []).some((found) => {
      return mayBeSameTable(lowerCase(readTableName(found)), lowerCase(each))
    })
  })
}

function lowerCase({ schema, table }: TableName): TableName {
  return { schema: schema?.toLowerCase(), table: table.toLowerCase() }
}

const READS = new Set(['select', 'values', 'table', 'show'])
const A_READ: RawStatement = { isRead: true, target: undefined, isRowless: false }
const SOME_WRITE: RawStatement = { isRead: false, target: undefined, isRowless: false }
const FIRST_WORD = /^[\s(]*([a-z]+)/i
const NAMES = new RegExp(TABLE_NAME_PATTERN, 'g')
const TARGET = new RegExp(
  String.raw`^\s*(insert\s+into|update(?:\s+only)?|delete\s+from(?:\s+only)?|merge\s+into(?:\s+only)?)\s+(${TABLE_NAME_PATTERN})`,
  'i',
)
