import { parseSync } from 'libpg-query'
import { type NamesInTree, namesInTree } from './names-in-tree.ts'

/** What PostgreSQL's own parser sees in a text. */
export interface Parsed {
  /** Whether it is one statement that only reads by its syntax, or is only explained. */
  readonly isPlainRead: boolean
  /** The functions it calls, by their names without a schema; none where it is only explained. */
  readonly calls: ReadonlySet<string>
}

/** The names in a text that is one statement and is not explained; undefined for any other. */
export function parseNames(sql: string): NamesInTree | undefined {
  let statements: readonly { stmt?: object }[]
  try {
    statements = parseSync(sql).stmts ?? []
  } catch {
    return undefined
  }
  const [first, second] = statements
  if (first?.stmt === undefined || second !== undefined || 'ExplainStmt' in first.stmt) return undefined
  return namesInTree(first.stmt)
}

/** Undefined where the parser refuses the text. */
export function parse(sql: string): Parsed | undefined {
  let statements: readonly { stmt?: object }[]
  try {
    statements = parseSync(sql).stmts ?? []
  } catch {
    return undefined
  }
  const statement = statements[0]?.stmt
  if (statements.length !== 1 || statement === undefined) return { isPlainRead: false, calls: new Set() }
  const [[kind = '', body] = []] = Object.entries(statement)
  if (kind === 'ExplainStmt') {
    const { query, options = [] } = body as { query: object; options?: readonly Option[] }
    const isRun = options.some(({ DefElem }) => /^analy[sz]e$/.test(DefElem?.defname ?? ''))
    if (!isRun) return { isPlainRead: !('ExecuteStmt' in query), calls: new Set() }
    return look(query)
  }
  return look(statement)
}

interface Option {
  readonly DefElem?: { readonly defname?: string }
}

function look(statement: object): Parsed {
  const calls = new Set<string>()
  const isRead = 'SelectStmt' in statement || 'VariableShowStmt' in statement
  const isPlainRead = !doesMore(statement, calls) && isRead
  return { isPlainRead, calls }
}

/** Whether anything in the tree writes or locks; collects the functions on the way. */
function doesMore(tree: unknown, calls: Set<string>): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  let found = false
  for (const [key, value] of Object.entries(tree)) {
    if (MORE.has(key)) found = true
    if (key === 'FuncCall') calls.add(lastName(value as FunctionNode))
    if (doesMore(value, calls)) found = true
  }
  return found
}

interface FunctionNode {
  readonly funcname?: readonly { readonly String?: { readonly sval?: string } }[]
}

function lastName({ funcname = [] }: FunctionNode): string {
  return funcname.at(-1)?.String?.sval ?? ''
}

const MORE = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'intoClause',
  'IntoClause',
  'LockingClause',
])
