/**
 * A guide to the room `sql`, which says what a statement is. Its files are of four groups:
 *
 * - **Reading a text.** `lexer.ts` makes tokens of it, with `scan.ts`, `characters.ts` and `unicode-name.ts`.
 *   `statement-reader.ts` makes a `StatementText` (`statement-text.ts`) of the tokens, with `token-reader.ts`,
 *   `statement-syntax.ts`, `session-syntax.ts`, `parentheses.ts`, `common-tables.ts` and the lists in `key-words.ts`.
 *   `token-list.ts` has all tokens at once, for small grammars such as `savepoint.ts`.
 * - **Judging a statement.** This file makes a `Statement` (`statement.ts`) of a `StatementText` and a `Catalog`. It uses
 *   the lists in `known-functions.ts`, the names in `table-names.ts`, `text-cache.ts`, `transaction-modes.ts` and
 *   `transaction-words.ts`.
 * - **The catalog.** `read-catalog.ts` asks a server, with the other files named `read-…` and `…-queries`, and with
 *   `dependents.ts`, `type-uses.ts`, `function-bodies.ts` and `learned-objects.ts`. The result is in
 *   `function-facts.ts`, `relation-facts.ts` (with `known-relations.ts`) and `type-facts.ts`. `catalog.ts` puts these
 *   together. `cause.ts` says why an object does more than read. `catalog-fingerprint.ts` shows if the catalog must be
 *   read again.
 * - **Settings.** `setting-changes.ts` and `set-config.ts` read what a text sets. `settings.ts` is all that one client
 *   has set. `unfollowed-settings.ts` finds texts that set something in a way that is not followed. `add-settings.ts`
 *   adds both to a `Statement`. `session-work.ts` says what a statement about its session does.
 *
 * The *effect* of a function, relation or type is what it does beyond reading: it writes, locks, or leaves something in
 * the session. An object with such an effect is *effectful*.
 */

import { addSettings } from './add-settings.ts'
import { BUILT_IN_CATALOG, type Catalog } from './catalog.ts'
import { type CallEffect, FunctionRules } from './function-facts.ts'
import { TEXT_FUNCTIONS } from './known-functions.ts'
import {
  type Blocker,
  definitionIn,
  FUNCTION,
  LOCKING,
  LOCKING_WITH_CALLS,
  PRIMARY_TABLE,
  READ,
  READ_WITH_CALLS,
  SESSION,
  SESSION_CALL,
  SESSION_WRITE,
  type Statement,
  WRITE,
} from './statement.ts'
import { readStatementText } from './statement-reader.ts'
import type { FunctionCall, StatementText } from './statement-text.ts'
import { isSurelyNamed, mayBeSameTable, parseTableName, type TableName, WatchedNames } from './table-names.ts'
import { TextCache } from './text-cache.ts'
import { opensOf } from './transaction-modes.ts'
import { isControl, outlivesTransaction, takesId } from './transaction-words.ts'

export type { Blocker, Definition, Statement } from './statement.ts'

/** The options that name functions and tables. */
export interface ClassifierOptions {
  readonly primaryTables: readonly string[]
  readonly unpinnedTables: readonly string[]
  readonly primaryFunctions: readonly string[]
  readonly replicaFunctions: readonly string[]
}

/** Tells where a statement may go, by its text and the catalog. Doubt means primary. */
export class StatementClassifier {
  readonly #primaryTables: readonly TableName[]
  readonly #unpinnedTables: readonly TableName[]
  readonly #rules: FunctionRules
  readonly #onUnknown: (unknown: FunctionCall | TableName) => boolean
  readonly #cache = new TextCache<Statement>()
  #catalog: Catalog = BUILT_IN_CATALOG
  #watch: WatchedNames

  /**
   * `onUnknown` is called for each function and each relation that the catalog does not know. It gives whether the
   * server will be asked. If the server was asked for a relation and does not have it either, the relation does not
   * exist, or belongs to the session, such as a temporary table. The statement is then judged by the rest of its
   * text.
   */
  constructor(
    options: ClassifierOptions,
    onUnknown: (unknown: FunctionCall | TableName) => boolean = () => false,
  ) {
    this.#primaryTables = options.primaryTables.map(parseTableName)
    this.#unpinnedTables = options.unpinnedTables.map(parseTableName)
    this.#rules = new FunctionRules(options)
    this.#onUnknown = onUnknown
    this.#watch = this.#watchFor(BUILT_IN_CATALOG)
  }

  get catalog(): Catalog {
    return this.#catalog
  }

  /** Uses this catalog from now on. The texts that replicas refused stay known until {@link forgetRefused}. */
  set catalog(catalog: Catalog) {
    this.#catalog = catalog
    this.#watch = this.#watchFor(catalog)
    this.#cache.clear()
  }

  classify(sql: string): Statement {
    const known = this.#cache.get(sql)
    if (known !== undefined) return known
    const text = readStatementText(sql, this.#watch, this.#unpinnedTables.length > 0)
    const statement = this.#withSessionEffects(addSettings(this.#decide(text, sql), sql), text, sql)
    // A statement with an unknown relation is not kept. It is judged again after the server was asked for the
    // relation.
    if (statement.unknownRelation === undefined) this.#cache.set(sql, statement)
    return statement
  }

  /**
   * Whether a statement must run on the primary even if a replica would accept it: its tables or the options say so.
   */
  mustRunOnPrimary({ readsPrimary, blocker }: Statement): boolean {
    return readsPrimary || (blocker?.kind === 'function' && this.#rules.effectOf(blocker.call) === 'volatile')
  }

  /** Forgets what replicas refused. The catalog has changed, so it judges those texts again. */
  forgetRefused(): void {
    this.#cache.forgetKept()
  }

  /**
   * Remembers that a replica refused a text. Gives the statement as it is classified now: as a write, or as a call
   * that may do more than read. A long text is not kept.
   */
  learnRefused(sql: string): Statement {
    // While the statement ran, the catalog may have learned what its functions do.
    const known = this.classify(sql)
    if (known.kind === 'function') return known
    const statement = { ...WRITE, defines: definitionIn(sql), hasCalls: true }
    this.#cache.keep(sql, statement)
    return statement
  }

  /** Adds what the functions that a statement calls may leave in its session. */
  #withSessionEffects(statement: Statement, text: StatementText, sql: string): Statement {
    if (statement.kind === 'read' || statement.isControl) return statement
    // The text of a write is not always read to its end. So each of its words counts as the name of a function, or of
    // a table whose trigger leaves something.
    const isWrite = statement.kind === 'write'
    if (isWrite && !this.#catalog.hasSessionEffects) {
      // Until the catalog was read, a procedure may leave anything.
      return this.#catalog.isCurrent ? statement : { ...statement, binds: CALLS.test(sql) }
    }
    const calls = isWrite ? wordsOf(sql).map((name) => ({ ...ANY_WORD, name })) : text.calls
    if (calls.length === 0) return statement
    const left = calls.map((call) => this.#catalog.leftBy(call))
    const keepsSettings =
      statement.keepsSettings || (statement.sets === undefined && left.some(({ sets }) => sets))
    return { ...statement, keepsSettings, binds: left.some(({ binds }) => binds) }
  }

  #decide(text: StatementText, sql: string): Statement {
    if (text.kind === 'session') {
      const opens = text.transaction === 'begins' ? opensOf(sql) : undefined
      return { ...this.#decideSession(text, sql), opens, isControl: isControl(sql) }
    }
    if (text.kind === 'write') return this.#decideWrite(text, sql)
    const read = this.#decideRead(text, sql)
    // No question to the server can go along with several statements, or with a `copy`.
    return text.isSeveral || text.isCopy ? { ...read, isAllOrNothing: false } : read
  }

  #decideRead(text: StatementText, sql: string): Statement {
    const hasCalls = text.calls.length > 0
    let isSession = false
    const { isCurrent } = this.#catalog
    // A relation that the catalog does not have may be a temporary view that does anything. And `explain` calls
    // functions that are declared stable, whatever they do.
    let isVouched =
      isCurrent &&
      !text.isOnlyExplained &&
      text.relations.every((each) => this.#catalog.mayHaveRelation(each))
    for (const call of text.calls) {
      // `explain` does not call functions that are declared volatile.
      if (text.isOnlyExplained && this.#catalog.becauseOf(call) === undefined) continue
      const effect = this.#effectOf(call)
      if (effect === 'session') isSession = true
      else if (effect === 'primary-table') continue
      else if (effect !== 'none') {
        const because = this.#catalog.becauseOf(call)
        const blocker: Blocker = { kind: 'function', call, because }
        return { ...this.#inDoubt(text, sql, blocker), ...(effect === 'unknown' && callsUnknown(call)) }
      } else if (this.#rules.effectOf(call) !== undefined || this.#catalog.isOpaque(call)) isVouched = false
    }
    for (const relation of text.relations) {
      const cause = this.#catalog.effectfulRelations.find(relation)
      if (cause !== undefined) return this.#inDoubt(text, sql, { kind: 'relation', relation, cause })
    }
    const byType = this.#catalog.effectfulTypes.causeIn(text)
    if (byType !== undefined) return this.#inDoubt(text, sql, { kind: 'relation', ...byType })
    const unknownRelation = this.#firstUnknown(text.relations)
    if (unknownRelation !== undefined)
      return { ...FUNCTION, isInDoubt: true, isUnknown: true, unknownRelation }
    if (isSession) return { ...SESSION_CALL, isVouched }
    if (text.kind === 'locking') return hasCalls ? LOCKING_WITH_CALLS : LOCKING
    if (this.#readsPrimary(text)) return { ...PRIMARY_TABLE, isVouched }
    if (text.isCopy) return { ...PRIMARY_TABLE, isVouched, readsPrimary: false }
    const leavesNothing = text.calls.every((call) => this.#catalog.leavesNothing(call))
    const isEarly = !this.#catalog.areRelationsRead && (text.relations.length > 0 || text.operates)
    return { ...(leavesNothing ? READ : READ_WITH_CALLS), isVouched, isEarly, isUnknown: isEarly }
  }

  #inDoubt(text: StatementText, sql: string, blocker: Blocker): Statement {
    return {
      ...FUNCTION,
      blocker,
      isInDoubt: !this.#mayWriteWithoutId(text, sql),
      takesId: text.kind === 'locking',
      readsPrimary: this.#readsPrimary(text),
    }
  }

  #readsPrimary(text: StatementText): boolean {
    return (
      text.calls.some((call) => this.#knownEffectOf(call) === 'primary-table') ||
      text.relations.some((each) => this.#isPrimaryTable(each)) ||
      this.#catalog.primaryTypes.causeIn(text) !== undefined
    )
  }

  /**
   * Whether it may write without a transaction id that shows it: it advances a sequence, or reads a table that is on
   * another server.
   */
  #mayWriteWithoutId(text: StatementText, sql: string): boolean {
    const advances = (call: FunctionCall) => this.#knownEffectOf(call) === 'sequence'
    if (text.calls.some((call) => advances(call) && !this.#onlyRunsWrittenText(call, sql))) return true
    const { effectfulRelations, effectfulTypes } = this.#catalog
    const causes = text.relations.map((relation) => effectfulRelations.find(relation))
    return [...causes, effectfulTypes.causeIn(text)?.cause].some((cause) => cause?.advances === true)
  }

  /**
   * Whether a call only runs a text that is written in the statement, and no word of the statement may advance a
   * sequence.
   */
  #onlyRunsWrittenText({ name }: FunctionCall, sql: string): boolean {
    if (!TEXT_FUNCTIONS.has(name) || name.startsWith('dblink') || PARAMETER.test(sql)) return false
    const quoted = [...sql.matchAll(QUOTED)].map(([, its = '']) => its)
    if (quoted.some((its) => its.match(WORDS)?.[0] !== its)) return false
    const words = wordsOf(sql)
    const { effectfulRelations } = this.#catalog
    return words.every(
      (word) =>
        effectfulRelations.find({ table: word })?.advances !== true &&
        (TEXT_FUNCTIONS.has(word) || this.#knownEffectOf({ ...ANY_CALL, name: word }) !== 'sequence'),
    )
  }

  /**
   * In doubt, the statement that it runs counts as a write. If it names a prepared statement or a cursor,
   * `NamedStatements` may know more.
   */
  #decideSession(text: StatementText, sql: string): Statement {
    const { inner, transaction, isHarmlessSession } = text
    const named = text.named && { ...text.named, inner: text.named.does === 'prepare' ? inner : undefined }
    const isByName = named?.does === 'execute' || named?.does === 'fetch'
    const effects = text.calls.map((call) => this.#effectOf(call))
    const mayOperate = isByName && this.#catalog.effectfulTypes.causeIn(text) !== undefined
    if (mayOperate || effects.some((effect) => WRITING.has(effect))) {
      // Its arguments may write, whatever it executes.
      return { ...SESSION_WRITE, ...callsUnknown(text.calls[effects.indexOf('unknown')]) }
    }
    if (isByName) return { ...SESSION_WRITE, named }
    if (inner === undefined || named?.does === 'prepare') {
      return { ...SESSION, transaction, named, mayWrite: !isHarmlessSession, takesId: takesId(sql) }
    }
    const its = this.#decideInner(inner)
    const { countsAsWrite, mayWrite, isUnknown, unknownCall, unknownRelation } = its
    const unknown = { isUnknown, unknownCall, unknownRelation }
    return {
      ...{ ...SESSION, countsAsWrite, mayWrite, ...unknown, named: named ?? its.named },
      // The commit reads a `with hold` cursor to its end. That is after the server was asked whether the transaction
      // wrote.
      isInDoubt: its.isInDoubt && !outlivesTransaction(sql),
      takesId: its.takesId || takesId(sql),
    }
  }

  /**
   * Judges an inner statement, such as the one that is prepared. If it has an inner statement too, it counts as a
   * write, so this looks no deeper.
   */
  #decideInner(sql: string): Statement {
    const text = readStatementText(sql, this.#watch)
    return text.kind === 'session' && text.inner !== undefined ? SESSION_WRITE : this.#decide(text, sql)
  }

  // Functions that the statement calls, or relations that it reads, may write even if its table is unpinned or no row
  // matches.
  #decideWrite(text: StatementText, sql: string): Statement {
    const { calls, relations, targets, changesOneTable, isChange, transaction } = text
    const defines = isChange ? 'nothing' : definitionIn(sql)
    const hasCalls = calls.length > 0
    const written = { ...WRITE, isAllOrNothing: isChange, defines, hasCalls, transaction }
    const counts = this.#counts(targets)
    const mayNeedRows =
      changesOneTable && targets?.every((target) => this.#catalog.plainTables.has(target)) === true
    if (counts && !mayNeedRows) return written
    const isTarget = (each: TableName) => targets?.some((target) => isSurelyNamed(each, target)) === true
    const doesMore =
      calls.some((call) => WRITING.has(this.#knownEffectOf(call))) ||
      this.#catalog.effectfulTypes.causeIn(text) !== undefined ||
      relations.some((each) => this.#doesMore(each) && !isTarget(each)) ||
      this.#firstUnknown(relations.filter((each) => !isTarget(each))) !== undefined
    const isInDoubt = mayNeedRows && doesMore && !this.#mayWriteWithoutId(text, sql)
    return {
      ...{ ...written, countsAsWrite: counts || doesMore, isInDoubt, takesId: !counts },
      needsRows: mayNeedRows && (isInDoubt || !doesMore),
      isVouched: mayNeedRows && !doesMore && this.#catalog.isCurrent,
    }
  }

  #doesMore(relation: TableName): boolean {
    return this.#catalog.effectfulRelations.find(relation) !== undefined
  }

  /**
   * The first of these relations that the catalog does not know and that the server will be asked for. It may be a
   * new view, which may do anything.
   */
  #firstUnknown(relations: readonly TableName[]): TableName | undefined {
    const unknown = relations.filter((each) => !this.#catalog.mayHaveRelation(each))
    return unknown.filter((each) => this.#onUnknown(each))[0]
  }

  #effectOf(call: FunctionCall): CallEffect {
    const effect = this.#knownEffectOf(call)
    if (effect === 'unknown') this.#onUnknown(call)
    return effect
  }

  #knownEffectOf(call: FunctionCall): CallEffect {
    const told = this.#rules.effectOf(call)
    if (told === 'none') return told
    const known = this.#catalog.effectOf(call)
    // A function that advances a sequence keeps that effect, even if `primaryFunctions` names it.
    return told === undefined || known === 'sequence' ? known : told
  }

  #isPrimaryTable(name: TableName): boolean {
    if (this.#catalog.primaryRelations.find(name) === true) return true
    return this.#primaryTables.some((each) => mayBeSameTable(lowerCase(each), lowerCase(name)))
  }

  /** Whether a write to these tables counts: not all of them are unpinned, or they are not known for sure. */
  #counts(targets: readonly TableName[] | undefined): boolean {
    if (targets === undefined || targets.length === 0) return true
    return !targets.every((target) => this.#unpinnedTables.some((each) => isSurelyNamed(target, each)))
  }

  #watchFor({ effectfulTypes, primaryTypes }: Catalog): WatchedNames {
    return new WatchedNames([...effectfulTypes.names(), ...primaryTypes.names()])
  }
}

function lowerCase({ schema, table }: TableName): TableName {
  return { schema: schema?.toLowerCase(), table: table.toLowerCase() }
}

function callsUnknown(unknownCall: FunctionCall | undefined): Pick<Statement, 'isUnknown' | 'unknownCall'> {
  return { isUnknown: unknownCall !== undefined, unknownCall }
}

/**
 * The words of a text, each as it is written (for quoted names) and in lower case (as the server reads other names).
 */
function wordsOf(sql: string): readonly string[] {
  return [...new Set([...(sql.match(WORDS) ?? []), ...(sql.toLowerCase().match(WORDS) ?? [])])]
}

const ANY_CALL: FunctionCall = { schema: undefined, name: '', isKeyWord: false }
/** A word that is syntax, unless there is a function of that name. */
const ANY_WORD: FunctionCall = { ...ANY_CALL, isKeyWord: true }
const CALLS = /\bcall\b/i
const PARAMETER = /\$\d/
const QUOTED = /"((?:[^"]|"")*)"/g
const WORDS = /[\p{L}_][\p{L}\p{N}_$]*/gu

const WRITING: ReadonlySet<CallEffect> = new Set<CallEffect>(['volatile', 'sequence', 'unknown'])
