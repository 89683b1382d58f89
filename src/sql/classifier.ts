import { BUILT_IN_CATALOG, type Catalog } from './catalog.ts'
import { type CallEffect, FunctionRules } from './function-facts.ts'
import type { Cause } from './relation-facts.ts'
import { readStatementText } from './statement-reader.ts'
import type { FunctionCall, NamedWork, StatementText, TransactionEffect } from './statement-text.ts'
import { isSurelyNamed, mayBeSameTable, parseTableName, type TableName, Watch } from './table-names.ts'
import { TextCache } from './text-cache.ts'
import { type Opens, opensOf } from './transaction-modes.ts'

/** What a statement demands and does, as far as routing cares. */
export interface Statement {
  /** `'read'`: any node that is fresh enough will do. The others go to the primary, and say why. */
  readonly kind: 'read' | 'locking' | 'primary-table' | 'session' | 'function' | 'write'
  /** Whether it counts as a write once it took effect. */
  readonly countsAsWrite: boolean
  /** Whether it has no effect where it affects no row: an update, delete or merge of a table that is known to be plain. */
  readonly isRowless: boolean
  /** Whether it has no effect where the server refuses it; other texts may have committed some of their work. */
  readonly isAllOrNothing: boolean
  /** Whether it may change the schema, and what it may change there. */
  readonly defines: Definition
  /**
   * Whether it calls functions which may have left something in the session even where the statement was refused; PostgreSQL's own that a
   * read may call leave nothing.
   */
  readonly hasCalls: boolean
  /** What keeps it from a replica, where a function or a relation does. */
  readonly blocker: Blocker | undefined
  /** Whether nobody knows what that does, so that it counts as a write unless the server says otherwise. */
  readonly isUnknown: boolean
  /** The function that nobody knows; undefined where all are known. */
  readonly unknownCall: FunctionCall | undefined
  /** Whether it may have written something, whether that counts or not: an unpinned table, what a trigger does. */
  readonly mayWrite: boolean
  /** What it does to its session's transaction. */
  readonly transaction: TransactionEffect
  /** What kind of a transaction it begins, where it does so alone; undefined where it does not. */
  readonly opens: Opens | undefined
  /** Whether it is about its session's transaction alone: it is wherever that is. */
  readonly isControl: boolean
  /** What it does with a prepared statement or a cursor of its session, which tells more than its own text; undefined for nothing. */
  readonly named: (NamedWork & { readonly inner: string | undefined }) | undefined
}

/**
 * What a statement changes in the schema: `'something'` (a new table, a column) is only not known yet; `'effects'` (a trigger, a rule, a
 * policy, a function) may make a table that was plain do more.
 */
export type Definition = 'nothing' | 'something' | 'effects'

/** What in a statement may do more than read. */
export type Blocker =
  /** A function that it calls; `because` says what that calls in turn, where its own declaration says less. */
  | { readonly kind: 'function'; readonly call: FunctionCall; readonly because: string | undefined }
  /** A relation that it names: a view, a table with policies, a foreign table. */
  | { readonly kind: 'relation'; readonly relation: TableName; readonly cause: Cause }

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
  readonly #rules: FunctionRules
  readonly #onUnknownFunction: (call: FunctionCall) => void
  readonly #cache = new TextCache<Statement>()
  #catalog: Catalog = BUILT_IN_CATALOG
  #watch: Watch

  /** `onUnknownFunction` hears of calls that the catalog does not know. */
  constructor(options: ClassifierOptions, onUnknownFunction: (call: FunctionCall) => void = () => {}) {
    this.#primaryTables = options.primaryTables.map(parseTableName)
    this.#unpinnedTables = options.unpinnedTables.map(parseTableName)
    this.#rules = new FunctionRules(options)
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
    const statement = this.#decide(readStatementText(sql, this.#watch, this.#unpinnedTables.length > 0), sql)
    this.#cache.set(sql, statement)
    return statement
  }

  /** Remembers a text that a replica refused as what it is, and gives that: a write, or something as good as one. A long text is not kept. */
  learnRefused(sql: string): Statement {
    const statement = { ...WRITE, defines: definitionIn(sql), hasCalls: true }
    this.#cache.pin(sql, statement)
    return statement
  }

  #decide(text: StatementText, sql: string): Statement {
    const hasCalls = text.calls.length > 0
    if (text.kind === 'session') {
      const opens = text.transaction === 'begins' ? opensOf(sql) : undefined
      return { ...this.#decideSession(text), opens, isControl: CONTROLS.test(sql) }
    }
    if (text.kind === 'write') return this.#decideWrite(text, sql)
    let isSession = false
    let isOnPrimary = false
    for (const call of text.calls) {
      const effect = this.#effectOf(call)
      if (effect === 'session') isSession = true
      else if (effect === 'primary-table') isOnPrimary = true
      else if (effect !== 'none') {
        const because = this.#catalog.becauseOf(call)
        const blocker: Blocker = { kind: 'function', call, because }
        return { ...FUNCTION, blocker, ...(effect === 'unknown' && callsUnknown(call)) }
      }
    }
    for (const relation of text.watched) {
      const cause = this.#catalog.effectfulRelations.find(relation)
      if (cause !== undefined) return { ...FUNCTION, blocker: { kind: 'relation', relation, cause } }
    }
    if (isSession) return SESSION_CALL
    if (text.kind === 'locking') return hasCalls ? LOCKING_WITH_CALLS : LOCKING
    if (isOnPrimary || text.watched.some((each) => this.#isPrimaryTable(each))) return PRIMARY_TABLE
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
      return { ...SESSION_WRITE, ...callsUnknown(text.calls[effects.indexOf('unknown')]) }
    }
    if (isByName) return { ...SESSION_WRITE, named }
    if (inner === undefined || named?.does === 'prepare') {
      return { ...SESSION, transaction, named, mayWrite: !isVoid }
    }
    const { countsAsWrite, mayWrite, unknownCall, named: innerNamed } = this.#decideInner(inner)
    return { ...SESSION, countsAsWrite, mayWrite, ...callsUnknown(unknownCall), named: named ?? innerNamed }
  }

  /** What is within a statement is no other that has one within: no text makes this go on and on. */
  #decideInner(sql: string): Statement {
    const text = readStatementText(sql, this.#watch)
    return text.kind === 'session' && text.inner !== undefined ? SESSION_WRITE : this.#decide(text, sql)
  }

  // What it calls or reads may write, whatever its table is and however few rows it has.
  #decideWrite(text: StatementText, sql: string): Statement {
    const { calls, watched, targets, isRowless, isChange, transaction } = text
    const defines = isChange ? 'nothing' : definitionIn(sql)
    const hasCalls = calls.length > 0
    const written = { ...WRITE, isAllOrNothing: isChange, defines, hasCalls, transaction }
    const counts = this.#counts(targets)
    const mayBeRowless =
      isRowless && targets?.every((target) => this.#catalog.plainTables.has(target)) === true
    if (counts && !mayBeRowless) return written
    const doesMore =
      calls.some((call) => WRITING.has(this.#knownEffectOf(call))) ||
      watched.some((each) => this.#doesMore(each) && !targets?.some((target) => isSurelyNamed(each, target)))
    return { ...written, countsAsWrite: counts || doesMore, isRowless: mayBeRowless && !doesMore }
  }

  #doesMore(relation: TableName): boolean {
    return this.#catalog.effectfulRelations.find(relation) !== undefined
  }

  #effectOf(call: FunctionCall): CallEffect {
    const effect = this.#knownEffectOf(call)
    if (effect === 'unknown') this.#onUnknownFunction(call)
    return effect
  }

  #knownEffectOf(call: FunctionCall): CallEffect {
    return this.#rules.effectOf(call) ?? this.#catalog.effectOf(call)
  }

  #isPrimaryTable(name: TableName): boolean {
    if (this.#catalog.primaryRelations.find(name) === true) return true
    return this.#primaryTables.some((each) => mayBeSameTable(lowerCase(each), lowerCase(name)))
  }

  /** Whether a write to these tables counts; where they are not known for sure, it does. */
  #counts(targets: readonly TableName[] | undefined): boolean {
    if (targets === undefined || targets.length === 0) return true
    return !targets.every((target) => this.#unpinnedTables.some((each) => isSurelyNamed(target, each)))
  }

  #watchFor(catalog: Catalog): Watch {
    return new Watch([
      ...catalog.effectfulRelations.names,
      ...catalog.primaryRelations.names,
      ...this.#primaryTables.map(({ table }) => table),
    ])
  }
}

function lowerCase({ schema, table }: TableName): TableName {
  return { schema: schema?.toLowerCase(), table: table.toLowerCase() }
}

function callsUnknown(unknownCall: FunctionCall | undefined): Pick<Statement, 'isUnknown' | 'unknownCall'> {
  return { isUnknown: unknownCall !== undefined, unknownCall }
}

const READ: Statement = {
  kind: 'read',
  countsAsWrite: false,
  isRowless: false,
  isAllOrNothing: true,
  defines: 'nothing',
  hasCalls: false,
  blocker: undefined,
  isUnknown: false,
  unknownCall: undefined,
  mayWrite: false,
  transaction: undefined,
  opens: undefined,
  isControl: false,
  named: undefined,
}
const READ_WITH_CALLS: Statement = { ...READ, hasCalls: true }
const WRITE: Statement = {
  ...READ,
  kind: 'write',
  countsAsWrite: true,
  isAllOrNothing: false,
  mayWrite: true,
}
const LOCKING: Statement = { ...READ, kind: 'locking' }
// A stable function may call a volatile one.
const LOCKING_WITH_CALLS: Statement = { ...LOCKING, hasCalls: true, mayWrite: true }
const PRIMARY_TABLE: Statement = { ...READ, kind: 'primary-table', hasCalls: true }
const SESSION: Statement = { ...READ, kind: 'session', hasCalls: true }
const SESSION_CALL: Statement = { ...SESSION, mayWrite: true }
const SESSION_WRITE: Statement = { ...SESSION_CALL, countsAsWrite: true }
const FUNCTION: Statement = { ...READ, kind: 'function', countsAsWrite: true, hasCalls: true, mayWrite: true }

const CONTROLS = /^\s*(?:begin|start|commit|end|abort|rollback|savepoint|release)\b/i

const WRITING: ReadonlySet<CallEffect> = new Set<CallEffect>(['volatile', 'unknown'])

/** What a text may change in the schema: also as one of several statements, or inside a `do` block. A word too many does no harm. */
function definitionIn(sql: string): Definition {
  if (!DEFINES.test(sql)) return 'nothing'
  return ALTERS.test(sql) || (CREATES.test(sql) && DOES_SOMETHING.test(sql)) ? 'effects' : 'something'
}

const DEFINES = /\b(?:create|alter|drop|import)\b/i
const ALTERS = /\b(?:alter|import)\b/i
const CREATES = /\bcreate\b/i
const DOES_SOMETHING =
  /\b(?:aggregate|cast|domain|extension|foreign|function|operator|policy|procedure|rule|trigger|view)\b/i
