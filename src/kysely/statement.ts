import type { CompiledQuery, OperationNode, QueryResult } from 'kysely'
import { namesAnyTable, readRawStatement } from '../sql/raw-statement.ts'
import { isSurelyNamed, mayBeSameTable, parseTableName, type TableName } from '../sql/table-name.ts'
import { inspectQuery } from './query-inspection.ts'

/** What a statement demands and does, as far as routing cares. */
export interface Statement {
  /** `'read'`: any node that is fresh enough will do. The others go to the primary, and say why. */
  readonly kind: 'read' | 'locking' | 'primary-table' | 'write'
  /** Whether it counts as a write once it took effect. */
  readonly countsAsWrite: boolean
  /** Whether it has no effect where it affects no row (an update, delete or merge without a writing CTE). */
  readonly isRowless: boolean
  /** Whether it has no effect where the server refuses it; a raw text may have committed some of its work. */
  readonly isAllOrNothing: boolean
}

/** How many texts the classifier remembers. */
const CACHE_SIZE = 1_000

/** Tells reads from writes: built queries by their nodes, raw SQL by its first word. Doubt means write. */
export class StatementClassifier {
  readonly #primaryTables: readonly TableName[]
  readonly #unpinnedTables: readonly TableName[]
  readonly #builtReads = new Map<string, Statement>()

  constructor(primaryTables: readonly string[], unpinnedTables: readonly string[]) {
    this.#primaryTables = primaryTables.map(parseTableName)
    this.#unpinnedTables = unpinnedTables.map(parseTableName)
  }

  classify({ query, sql }: CompiledQuery): Statement {
    if (query.kind === 'RawNode') return this.#classifyRaw(sql)
    if (query.kind !== 'SelectQueryNode') return this.#classifyBuilt(query)
    // One text of a built select is one tree, so its inspection need not be repeated.
    const known = this.#builtReads.get(sql)
    if (known !== undefined) return known
    const statement = this.#classifyBuilt(query)
    this.#remember(sql, statement)
    return statement
  }

  #classifyRaw(sql: string): Statement {
    const { isRead, target, isRowless } = readRawStatement(sql)
    if (isRead) return namesAnyTable(sql, this.#primaryTables) ? PRIMARY_TABLE_READ : READ
    return write(this.#counts(target === undefined ? undefined : [target]), isRowless, target !== undefined)
  }

  #classifyBuilt(query: OperationNode): Statement {
    const { writes, locks, tables, targets } = inspectQuery(query)
    if (query.kind === 'SelectQueryNode' && !writes) {
      if (locks) return LOCKING_READ
      return tables.some((each) => this.#isPrimaryTable(each)) ? PRIMARY_TABLE_READ : READ
    }
    const isRowless = ROWLESS.has(query.kind) && targets?.length === 1
    return write(this.#counts(targets), isRowless, targets !== undefined)
  }

  #isPrimaryTable(name: TableName): boolean {
    return this.#primaryTables.some((each) => mayBeSameTable(each, name))
  }

  /** Whether a write to these tables counts; where they are not known for sure, it does. */
  #counts(targets: readonly TableName[] | undefined): boolean {
    if (targets === undefined || targets.length === 0) return true
    return !targets.every((target) => this.#unpinnedTables.some((each) => isSurelyNamed(target, each)))
  }

  #remember(sql: string, statement: Statement): void {
    if (this.#builtReads.size >= CACHE_SIZE) {
      const oldest = this.#builtReads.keys().next()
      if (!oldest.done) this.#builtReads.delete(oldest.value)
    }
    this.#builtReads.set(sql, statement)
  }
}

/** Whether a write that the server accepted changed anything. */
export function tookEffect(statement: Statement, result: QueryResult<unknown>): boolean {
  return !(statement.isRowless && result.numAffectedRows === 0n)
}

const READ: Statement = readOf('read')
const LOCKING_READ: Statement = readOf('locking')
const PRIMARY_TABLE_READ: Statement = readOf('primary-table')
const ROWLESS = new Set(['UpdateQueryNode', 'DeleteQueryNode', 'MergeQueryNode'])

function readOf(kind: 'read' | 'locking' | 'primary-table'): Statement {
  return { kind, countsAsWrite: false, isRowless: false, isAllOrNothing: true }
}

function write(countsAsWrite: boolean, isRowless: boolean, isAllOrNothing: boolean): Statement {
  return { kind: 'write', countsAsWrite, isRowless, isAllOrNothing }
}
