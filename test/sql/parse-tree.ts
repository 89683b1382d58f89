import { parseSync } from 'libpg-query'
import { type NamesInTree, namesInTree } from './names-in-tree.ts'

/** What PostgreSQL's own parser sees in a text. */
export interface Parsed {
  /** Whether each of its statements only reads by its syntax, or is only explained. */
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
  const all = statements.map(({ stmt }) => (stmt === undefined ? NOTHING : parsedOf(stmt)))
  return {
    isPlainRead: all.length > 0 && all.every(({ isPlainRead }) => isPlainRead),
    calls: new Set(all.flatMap(({ calls }) => [...calls])),
  }
}

const NOTHING: Parsed = { isPlainRead: false, calls: new Set() }

function parsedOf(statement: object): Parsed {
  const [[kind = '', body] = []] = Object.entries(statement)
  if (kind !== 'ExplainStmt') return look(statement)
  const { query, options = [] } = body as { query: object; options?: readonly Option[] }
  const analyze = options.findLast(({ DefElem }) => /^analy[sz]e$/.test(DefElem?.defname ?? ''))
  const isRun = analyze !== undefined && !isOff(analyze)
  return isRun ? look(query) : { isPlainRead: !('ExecuteStmt' in query), calls: new Set() }
}

function isOff({ DefElem }: Option): boolean {
  const { String: text, Integer: number } = DefElem?.arg ?? {}
  return number === undefined ? /^(?:false|off)$/i.test(text?.sval ?? '') : (number.ival ?? 0) === 0
}

interface Option {
  readonly DefElem?: {
    readonly defname?: string
    readonly arg?: {
      readonly String?: { readonly sval?: string }
      readonly Integer?: { readonly ival?: number }
    }
  }
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
