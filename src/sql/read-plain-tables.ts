import { pagesOf } from './catalog-pages.ts'
import { type Ask, type DependentRow, TABLES_QUERY, type TableRow } from './catalog-queries.ts'
import { withWholes } from './dependents.ts'
import { NO_PLAIN_TABLES, PlainTables } from './relation-facts.ts'

/** How many tables one question is about. Each question takes the server a fraction of a second. */
const TABLES_PAGE = 2_000
/** How many plain tables are kept. If there are more, no table counts as plain. */
const MAX_PLAIN_TABLES = 100_000

/** Reads which tables are plain. The tables in `others` are not plain, nor are tables with a part that is not plain. */
export async function readPlainTables(
  ask: Ask,
  others: readonly { readonly schema: string; readonly name: string }[],
): Promise<PlainTables> {
  const plain = new PlainTables()
  const parts: DependentRow[] = []
  for await (const rows of pagesOf<TableRow>(ask, TABLES_QUERY, TABLES_PAGE)) {
    for (const { schema, is_plain, oids, names } of rows) {
      for (const [at, name] of names.entries()) {
        if (is_plain) plain.add(schema, name)
        else {
          plain.addOther(schema, name)
          parts.push({ oid: oids[at] ?? '', schema, name, on: '' })
        }
      }
    }
    if (plain.size > MAX_PLAIN_TABLES) return NO_PLAIN_TABLES
  }
  for (const { schema, name } of [...(await withWholes(ask, parts)), ...others]) plain.addOther(schema, name)
  return plain
}
