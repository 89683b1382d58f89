import { BUILT_IN_CATALOG, type CallEffect, type Catalog } from './catalog.ts'
import { readStatementText } from './statement-reader.ts'
import type { FunctionCall, NamedWork, StatementText, TransactionEffect } from './statement-text.ts'
import { isSurelyNamed, mayBeSameTable, parseTableName, type TableName } from './table-name.ts'
import { TextCache } from './text-cache.ts'
import { Watch } from './watch.ts'

/** What a statement demands and does, as far as routing cares. */
export interface Statement {
  /** `'read'`: any node that is fresh enough will do. The others go to the primary, and say why. */
  readonly kind: 'read' | 'locking' | 'primary-table' | 'session' | 'function' | 'write'
  /** Whether it counts as a write once it took effect. */
  readonly countsAsWrite: boolean
  /** Whether it has no effect where it affects no row (an update, delete or merge without a writing CTE). */
  readonly isRowless: boolean
  /** Whether it has no effect where the server refuses it; other texts may have committed some of their work. */
  readonly isAllOrNothing: boolean
  /**
   * Whether it calls functions which may have left something in the session even where the statement was refused; PostgreSQL's own that a
   * read may call leave nothing.
   */
  readonly hasCalls: boolean
  /** The function that keeps it from a replica, where one does. */
  readonly blocker: FunctionCall | undefined
  /** Whether nobody knows what that does, so that it counts as a write unless the server says otherwise. */
  readonly isUnknown: boolean
  /** Whether it may have written something, whether that counts or not: an unpinned table, what a trigger does. */
  readonly mayWrite: boolean
  /** What it leaves of its session's transaction, as a text of the application's own. */
  readonly transaction: TransactionEffect
  /** What it does with a prepared statement or a cursor of its session, which tells more than its own text; undefined for nothing. */
  readonly named: (NamedWork & { readonly inner: string | undefined }) | undefined
}

/** The options that name functions and tables. */
export interface ClassifierOptions {
  readonly primaryTables: readonly string[]
  readonly unpinnedTables: readonly string[]
  readonly primaryFunctions: readonly string[]
  readonly replicaFunctions: readonly string[]
}

/** Tells by the text that will be sent where a statement may go. Doubt means primary. */
export class StatementClassifier {
  readonly #primaryTables: readonly TableName[]
  readonly #unpinnedTables: readonly TableName[]
  readonly #primaryFunctions: ReadonlySet<string>
  /** The same without their schemas. */
  readonly #primaryNames: ReadonlySet<string>
  readonly #replicaFunctions: ReadonlySet<string>
  readonly #onUnknownFunction: (call: FunctionCall) => void
  readonly #cache = new TextCache<Statement>()
  #catalog: Catalog = BUILT_IN_CATALOG
  #watch: Watch

  /** `onUnknownFunction` hears of calls that the catalog does not know. */
  constructor(options: ClassifierOptions, onUnknownFunction: (call: FunctionCall) => void = () => {}) {
    this.#primaryTables = options.primaryTables.map(parseTableName)
    this.#unpinnedTables = options.unpinnedTables.map(parseTableName)
    this.#primaryFunctions = new Set(options.primaryFunctions)
    this.#primaryNames = new Set(options.primaryFunctions.map(nameOf))
    this.#replicaFunctions = new Set(options.replicaFunctions)
    this.#onUnknownFunction = onUnknownFunction
    this.#watch = this.#watchFor(BUILT_IN_CATALOG)
  }

  get catalog(): Catalog {
    return this.#catalog
  }

  /** From now on the functions and relations of this catalog hold; what was learned from the server's refusals stays. */
  set catalog(catalog: Catalog) {
    this.#catalog = catalog
    this.#watch = this.#watchFor(catalog)
    this.#cache.clear()
  }

  classify(sql: string): Statement {
    const known = this.#cache.get(sql)
    if (known !== undefined) return known
    const statement = this.#decide(readStatementText(sql, this.#watch, this.#unpinnedTables.length > 0))
    this.#cache.set(sql, statement)
    return statement
  }

  /** Remembers a text that a replica refused as what it is: a write, or something as good as one. */
  learnRefused(sql: string): void {
    this.#cache.pin(sql, write(true, false, false, true))
  }

  #decide(text: StatementText): Statement {
    const hasCalls = text.calls.length > 0
    if (text.kind === 'session') return this.#decideSession(text)
    if (text.kind === 'write') return this.#decideWrite(text)
    let isSession = false
    for (const call of text.calls) {
      const effect = this.#effectOf(call)
      if (effect === 'session') isSession = true
      else if (effect !== 'none') return { ...FUNCTION, blocker: call, isUnknown: effect === 'unknown' }
    }
    if (text.watched.some(({ table }) => this.#catalog.effectfulRelations.has(table.toLowerCase())))
      return FUNCTION
    if (isSession) return SESSION_CALL
    if (text.kind === 'locking') return hasCalls ? LOCKING_WITH_CALLS : LOCKING
    if (text.watched.some((each) => this.#isPrimaryTable(each))) return PRIMARY_TABLE
    return text.calls.every((call) => this.#catalog.leavesNothing(call)) ? READ : READ_WITH_CALLS
  }

  /** In doubt what it runs writes. What it does by a name its session may know better: see `NamedStatements`. */
  #decideSession(text: StatementText): Statement {
    const { inner, transaction, isVoid } = text
    const named = text.named && { ...text.named, inner: text.named.does === 'prepare' ? inner : undefined }
    const isByName = named?.does === 'execute' || named?.does === 'fetch'
    const effects = text.calls.map((call) => this.#effectOf(call))
    if (effects.some((effect) => WRITING.has(effect))) {
      // Whatever it executes, its arguments may write.
      return { ...SESSION_WRITE, isUnknown: effects.includes('unknown') }
    }
    if (isByName) return { ...SESSION_WRITE, named }
    if (inner === undefined || named?.does === 'prepare') {
      return { ...SESSION, transaction, named, mayWrite: !isVoid }
    }
    const { countsAsWrite, mayWrite, isUnknown, named: innerNamed } = this.#decideInner(inner)
    return { ...SESSION, countsAsWrite, mayWrite, isUnknown, named: named ?? innerNamed }
  }

  /** What is within a statement is no other that has one within: no text makes this go on and on. */
  #decideInner(sql: string): Statement {
    const text = readStatementText(sql, this.#watch, this.#unpinnedTables.length > 0)
    return text.kind === 'session' && text.inner !== undefined ? SESSION_WRITE : this.#decide(text)
  }

  // What it calls may write, whatever its table is and however few rows it has.
  #decideWrite({ calls, targets, isRowless, isChange, transaction }: StatementText): Statement {
    const hasCalls = calls.length > 0
    const counts = this.#counts(targets)
    if (counts && !isRowless) return { ...write(true, false, isChange, hasCalls), transaction }
    const callsMore = calls.some((call) => WRITING.has(this.#knownEffectOf(call)))
    return write(counts || callsMore, isRowless && !callsMore, isChange, hasCalls)
  }

  #effectOf(call: FunctionCall): CallEffect {
    const effect = this.#knownEffectOf(call)
    if (effect === 'unknown') this.#onUnknownFunction(call)
    return effect
  }

  #knownEffectOf(call: FunctionCall): CallEffect {
    const qualified = call.schema === undefined ? call.name : `${call.schema}.${call.name}`
    // Without a schema it may be any function of that name: doubt means primary.
    if (call.schema === undefined && this.#primaryNames.has(call.name)) return 'volatile'
    if (this.#primaryFunctions.has(call.name) || this.#primaryFunctions.has(qualified)) return 'volatile'
    if (this.#replicaFunctions.has(call.name) || this.#replicaFunctions.has(qualified)) return 'none'
    return this.#catalog.effectOf(call)
  }

  #isPrimaryTable(name: TableName): boolean {
    if (this.#catalog.primaryRelations.has(name.table.toLowerCase())) return true
    return this.#primaryTables.some((each) => mayBeSameTable(lowerCase(each), lowerCase(name)))
  }

  /** Whether a write to these tables counts; where they are not known for sure, it does. */
  #counts(targets: readonly TableName[] | undefined): boolean {
    if (targets === undefined || targets.length === 0) return true
    return !targets.every((target) => this.#unpinnedTables.some((each) => isSurelyNamed(target, each)))
  }

  #watchFor(catalog: Catalog): Watch {
    return new Watch([
      ...catalog.effectfulRelations,
      ...catalog.primaryRelations,
      ...this.#primaryTables.map(({ table }) => table),
    ])
  }
}

function nameOf(qualified: string): string {
  return qualified.slice(qualified.lastIndexOf('.') + 1)
}

function lowerCase({ schema, table }: TableName): TableName {
  return { schema: schema?.toLowerCase(), table: table.toLowerCase() }
}

function write(
  countsAsWrite: boolean,
  isRowless: boolean,
  isAllOrNothing: boolean,
  hasCalls: boolean,
): Statement {
  return {
    ...READ,
    kind: 'write',
    countsAsWrite,
    isRowless,
    isAllOrNothing,
    hasCalls,
    mayWrite: true,
  }
}

const READ: Statement = {
  kind: 'read',
  countsAsWrite: false,
  isRowless: false,
  isAllOrNothing: true,
  hasCalls: false,
  blocker: undefined,
  isUnknown: false,
  mayWrite: false,
  transaction: undefined,
  named: undefined,
}
const READ_WITH_CALLS: Statement = { ...READ, hasCalls: true }
const LOCKING: Statement = { ...READ, kind: 'locking' }
// A stable function may call a volatile one.
const LOCKING_WITH_CALLS: Statement = { ...LOCKING, hasCalls: true, mayWrite: true }
const PRIMARY_TABLE: Statement = { ...READ, kind: 'primary-table', hasCalls: true }
const SESSION: Statement = { ...READ, kind: 'session', hasCalls: true }
const SESSION_CALL: Statement = { ...SESSION, mayWrite: true }
const SESSION_WRITE: Statement = { ...SESSION_CALL, countsAsWrite: true }
const FUNCTION: Statement = { ...READ, kind: 'function', countsAsWrite: true, hasCalls: true, mayWrite: true }

const WRITING: ReadonlySet<CallEffect> = new Set<CallEffect>(['volatile', 'unknown'])
