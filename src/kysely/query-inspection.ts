import type { OperationNode, SchemableIdentifierNode } from 'kysely'
import { readRawStatement } from '../sql/raw-statement.ts'
import type { TableName } from '../sql/table-name.ts'

/** What a walk through the nodes of a built query found, at any depth. */
export interface QueryInspection {
  /** Whether anything in it writes, or a raw CTE may. */
  readonly writes: boolean
  /** Whether it has a locking clause, or a raw modifier that may be one. */
  readonly locks: boolean
  /** Every table it names. */
  readonly tables: readonly TableName[]
  /** The tables it writes to; undefined where they are not known for sure. */
  readonly targets: readonly TableName[] | undefined
}

/** Inspects a built query. */
export function inspectQuery(query: OperationNode): QueryInspection {
  const found: Found = { writes: false, locks: false, tables: [], targets: [], areTargetsKnown: true }
  visit(query, found)
  return { ...found, targets: found.areTargetsKnown && found.writes ? found.targets : undefined }
}

interface Found {
  writes: boolean
  locks: boolean
  tables: TableName[]
  targets: TableName[]
  areTargetsKnown: boolean
}

type AnyNode = OperationNode & Record<string, unknown>

function visit(node: AnyNode | OperationNode, found: Found): void {
  switch (node.kind) {
    case 'ValueNode': // a user's value: it may be large, or look like a node
    case 'PrimitiveValueListNode':
      return
    case 'TableNode':
      found.tables.push(tableName(node as AnyNode))
      return
    case 'SelectModifierNode':
      if ((node as AnyNode).modifier !== 'Distinct') found.locks = true
      break
    case 'CommonTableExpressionNode':
      if (isWritingRaw((node as AnyNode).expression as AnyNode)) foundWrite(found, undefined)
      break
    case 'InsertQueryNode':
    case 'MergeQueryNode':
      foundWrite(found, (node as AnyNode).into)
      break
    case 'UpdateQueryNode':
      foundWrite(found, (node as AnyNode).table)
      break
    case 'DeleteQueryNode':
      foundWrite(found, onlyItem((node as AnyNode).from))
      break
  }
  for (const child of Object.values(node)) {
    if (Array.isArray(child)) for (const each of child) visitIfNode(each, found)
    else visitIfNode(child, found)
  }
}

function visitIfNode(value: unknown, found: Found): void {
  if (isNode(value)) visit(value, found)
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
}

function foundWrite(found: Found, target: unknown): void {
  found.writes = true
  const table = isNode(target) && target.kind === 'AliasNode' ? target.node : target
  if (isNode(table) && table.kind === 'TableNode') found.targets.push(tableName(table))
  else found.areTargetsKnown = false
}

function onlyItem(from: unknown): unknown {
  const froms = isNode(from) ? (from.froms as readonly unknown[]) : []
  return froms.length === 1 ? froms[0] : undefined
}

// A CTE that is written by hand: its first fragment tells, as for any raw text.
function isWritingRaw(expression: AnyNode): boolean {
  if (expression.kind === 'ParensNode') return isWritingRaw(expression.node as AnyNode)
  if (expression.kind !== 'RawNode') return false
  const [first = ''] = expression.sqlFragments as readonly string[]
  return !readRawStatement(first).isRead
}

// Kysely's `withSchema()` leaves the tables of `for update of` and `json_agg` with a bare identifier.
function tableName({ table }: AnyNode): TableName {
  const { schema, identifier, name } = table as Partial<SchemableIdentifierNode> & { readonly name?: string }
  return { schema: schema?.name, table: identifier?.name ?? name ?? '' }
}
