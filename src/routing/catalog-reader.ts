import type { Node } from '../nodes/node.ts'
import type { Definition, StatementClassifier } from '../sql/classifier.ts'
import { keyOf } from '../sql/function-facts.ts'
import type { Ask, CatalogOptions } from '../sql/read-catalog.ts'
import type { FunctionCall } from '../sql/statement-text.ts'
import type { TableName } from '../sql/table-names.ts'
import { AwaitedReading, PATIENCE_MS } from './awaited-reading.ts'
import { CatalogKnowledge } from './catalog-knowledge.ts'
import { CatalogPauses } from './catalog-pauses.ts'
import type { CatalogReports } from './catalog-reports.ts'
import { type CatalogServer, CatalogSource } from './catalog-source.ts'
import { EarliestTimer } from './earliest-timer.ts'
import { isRelation, MissingNames, type UnknownName } from './missing-names.ts'
import { VouchedCatalog } from './vouched-catalog.ts'

/** How long a reading may go on after the router is destroyed, in ms. Then it is cut short. */
const GRACE_MS = 250

/**
 * Knows what the functions and relations of the database do, and keeps that up to date.
 *
 * The catalog is read in the background: first the functions, which statements may wait for, and then the relations.
 * Until the functions are read, only PostgreSQL's own are known, and any other counts as one that writes.
 *
 * After that, the reader checks once a minute whether the catalog has changed. It also checks in these cases:
 *
 * - A statement has a name that the catalog does not know.
 * - This process changes the schema, or runs something that may have changed it.
 * - The server says that something wrote, although the catalog says that it only reads.
 *
 * A check that finds no change reads nothing.
 *
 * The primary is asked. Only for the first reading, if the primary does not answer, a replica is asked, which may lag.
 * Then the catalog is read from the primary as soon as it answers.
 *
 * What begins a reading or a check:
 *
 * - `read` reads from any node, the primary first: at the start, for an unknown function (`#readAgain`), and after a
 *   replica has answered (`#readFromPrimary`). Statements may wait for it.
 * - `#checkNow` checks on the primary only. `#checkSoon` calls it now or after a pause, `#checkRegularly` once a
 *   minute.
 *
 * Both call `#start`, which runs one at a time. It asks one node after the other (`#readFromAny`), or only the primary.
 * From the first that answers, it reads what has changed (`#readFrom`). Then `#afterReading` decides when the next one
 * comes.
 */
export class CatalogReader {
  readonly #source: CatalogSource
  readonly #reports: CatalogReports
  readonly #knowledge: CatalogKnowledge
  readonly #vouched: VouchedCatalog
  readonly #pauses = new CatalogPauses()
  readonly #missingFunctions = new MissingNames<FunctionCall>(keyOf)
  readonly #missingRelations = new MissingNames<TableName>(({ schema, table: name }) =>
    keyOf({ schema, name }),
  )
  #isStopped = false
  /** The reading or check that is under way; undefined for none. */
  #reading: Promise<void> | undefined
  /** What statements wait for: the reading or check that is under way, and the one after it. */
  #check: AwaitedReading | undefined
  #nextCheck: AwaitedReading | undefined
  /**
   * What statements wait for while the functions are being read. They may be read again between two pages of the
   * relations.
   */
  #functions: AwaitedReading | undefined
  /** Whether the last answer came from a replica, which may lag. */
  #isFromReplica = false
  readonly #next = new EarliestTimer()
  /** Times the check that comes once a minute, whatever happens. */
  readonly #regular = new EarliestTimer()

  constructor(parts: {
    readonly nodes: () => readonly Node[]
    readonly classifier: () => StatementClassifier
    readonly options: CatalogOptions
    readonly reports: CatalogReports
  }) {
    this.#source = new CatalogSource(parts.nodes, parts.reports)
    this.#reports = parts.reports
    this.#knowledge = new CatalogKnowledge(parts.options)
    this.#vouched = new VouchedCatalog(this.#knowledge, parts.classifier)
  }

  /** Reads the catalog from any node, unless it is being read. Never throws. */
  read(): void {
    if (this.#isStopped || this.#functions !== undefined) return
    this.#functions = new AwaitedReading()
    this.#vouched.requestCheck()
    this.#start({ onlyPrimary: false })
  }

  /**
   * A statement names something that the catalog does not know. Reads the catalog for it, unless the server was asked
   * not long ago and did not have it. Gives whether it does.
   */
  sawUnknownName(unknown: UnknownName): boolean {
    const isOpen = isRelation(unknown)
      ? this.#missingRelations.shouldAskFor(unknown)
      : this.#missingFunctions.shouldAskFor(unknown)
    if (isOpen && isRelation(unknown)) this.#checkSoon()
    else if (isOpen) this.#readAgain()
    return isOpen
  }

  /**
   * This process has changed the schema, or has committed such a change. If a trigger or a rule may be new, no table
   * counts as plain until the relations are read again.
   */
  sawDefinition(definition: Definition): void {
    if (!this.#isKnown && this.#reading === undefined) return
    this.#missingFunctions.forget()
    this.#missingRelations.forget()
    this.#vouched.sawDefinition(definition)
    this.#pauses.sawDefinition()
    this.#next.at(this.#pauses.checkAfterDefinitionMs, this.#checkNow)
  }

  /**
   * The server says that something wrote, although the catalog says that it only reads. Until the next check, the
   * catalog vouches for nothing.
   */
  sawUnexpectedWrite(): void {
    this.#vouched.sawUnexpectedWrite()
    this.#checkSoon()
  }

  /** A statement wrote, and its text does not show what (a procedure, for one). It may have changed the schema. */
  sawPossibleDefinition(): void {
    if (this.#isKnown) this.#checkSoon()
  }

  /**
   * Gives a function that waits until the catalog knows a name (`isKnown`). Undefined if waiting does not help: the
   * server was asked not long ago, does not have the name, or does not answer.
   */
  waitForName(unknown: UnknownName, isKnown: () => boolean): (() => Promise<void>) | undefined {
    if (this.#isStopped) return undefined
    return isRelation(unknown)
      ? this.#waitForRelation(unknown, isKnown)
      : this.#waitForFunction(unknown, isKnown)
  }

  /**
   * Gives a function that waits for the very first reading; undefined if that is not under way. If the reading takes
   * too long, the statement runs before it is over.
   */
  firstReading(): (() => Promise<void>) | undefined {
    const check = this.#check
    // If the primary does not answer, statements do not wait for it.
    if (check === undefined || check.leftMs <= 0 || !this.#source.isPrimaryUp) return undefined
    return () => check.wait()
  }

  #waitForFunction(call: FunctionCall, isKnown: () => boolean): (() => Promise<void>) | undefined {
    if (!this.#missingFunctions.shouldAskFor(call)) return undefined
    if (
      this.#functions === undefined ? this.#pauses.areFunctionReadingsPaused : this.#functions.leftMs <= 0
    ) {
      return undefined
    }
    return async () => {
      // A reading that is under way may have begun before the function was there.
      await this.#functions?.wait()
      if (isKnown()) return
      this.#readAgain()
      await this.#functions?.wait()
    }
  }

  #waitForRelation(relation: TableName, isKnown: () => boolean): (() => Promise<void>) | undefined {
    if (!this.#missingRelations.shouldAskFor(relation)) return undefined
    const check = this.#nextCheck ?? this.#check
    const comesSoon = this.#reading !== undefined || this.#pauses.checkComesSoon
    if (!comesSoon || (check !== undefined && check.leftMs <= 0)) return undefined
    return async () => {
      const untilMs = performance.now() + PATIENCE_MS
      await check?.wait(untilMs)
      // The check that has just ended may have begun before the relation was there.
      if (isKnown() || !this.#missingRelations.shouldAskFor(relation)) return
      this.#checkSoon()
      await (this.#nextCheck ?? this.#check)?.wait(untilMs)
    }
  }

  /** Stops. Cuts short a reading that is under way: a frozen server never ends one. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#next.stop()
    this.#regular.stop()
    const cut = setTimeout(() => this.#source.stop(), GRACE_MS)
    await this.#reading
    clearTimeout(cut)
    this.#source.stop()
  }

  get #isKnown(): boolean {
    return this.#knowledge.functions !== undefined
  }

  /** Reads again for an unknown function: now, or when the pause is over. */
  readonly #readAgain = (): void => {
    if (this.#functions !== undefined || this.#isStopped) return
    if (this.#pauses.areFunctionReadingsPaused) {
      this.#next.at(this.#pauses.nextFunctionReadingMs, this.#readAgain)
      return
    }
    this.#pauses.functionReadingBegan()
    this.read()
  }

  /** Checks the catalog: now, or when the pause is over. */
  #checkSoon(): void {
    if (this.#reading === undefined && !this.#pauses.areChecksPaused) this.#checkNow()
    else {
      this.#nextCheck ??= new AwaitedReading()
      this.#next.at(this.#pauses.nextCheckMs, this.#checkNow)
    }
  }

  /**
   * Checks whether the catalog has changed. Only the primary can say so. While it does not answer, what is known stays
   * in use.
   */
  readonly #checkNow = (): void => {
    // The reading that is under way may have begun too early, so another check follows.
    if (this.#reading !== undefined) this.#vouched.requestCheck()
    else if (this.#isKnown && !this.#isFromReplica) this.#start({ onlyPrimary: true })
  }

  /** Checks once a minute, whatever happens. A primary that is down is not asked. */
  #checkRegularly(): void {
    this.#regular.at(this.#pauses.nextRegularCheckMs, () => {
      if (this.#source.isPrimaryUp) this.#checkNow()
      this.#checkRegularly()
    })
  }

  /** Reads the catalog from the primary, or tries again later if the primary does not answer. */
  readonly #readFromPrimary = (): void => {
    if (this.#source.isPrimaryUp) this.read()
    else this.#next.at(this.#pauses.nextPrimaryTryMs, this.#readFromPrimary)
  }

  #start(from: { readonly onlyPrimary: boolean }): void {
    if (this.#reading !== undefined || this.#isStopped) return
    this.#next.clear()
    this.#check = this.#nextCheck ?? new AwaitedReading(!this.#isKnown)
    this.#nextCheck = undefined
    this.#reading = this.#readFromAny(from).then((hasRead) => {
      this.#reading = undefined
      this.#check?.end()
      this.#check = undefined
      this.#afterReading(hasRead, from)
    })
  }

  /** Decides what follows a reading. */
  #afterReading(hasRead: boolean, { onlyPrimary }: { readonly onlyPrimary: boolean }): void {
    this.#pauses.ended(hasRead)
    if (this.#isStopped || (!hasRead && !onlyPrimary)) this.#functionsRead()
    if (this.#functions !== undefined) this.#start({ onlyPrimary: false })
    else if (!hasRead) {
      // Classifications are kept by text, so a statement that asked while no node answered does not ask again. So the
      // reader tries by itself.
      this.#next.at(this.#pauses.nextFunctionReadingMs, onlyPrimary ? this.#checkNow : this.#readAgain)
    } else if (this.#isFromReplica) this.#next.at(this.#pauses.nextPrimaryTryMs, this.#readFromPrimary)
    else {
      if (!this.#vouched.isCurrent || this.#missingRelations.areOpen)
        this.#next.at(this.#pauses.nextCheckMs, this.#checkNow)
      this.#checkRegularly()
    }
  }

  async #readFromAny(from: { readonly onlyPrimary: boolean }): Promise<boolean> {
    const server = await this.#source.read((each) => this.#readFrom(each), from)
    if (server === undefined) {
      this.#reports.wasNotRead(this.#isKnown)
      return false
    }
    this.#pauses.wasRead(server.isReplica && this.#source.isPrimaryUp)
    this.#reports.wasRead()
    return true
  }

  async #readFrom(server: CatalogServer): Promise<void> {
    const before = this.#vouched.begin()
    const relations = this.#missingRelations.begin()
    const startedAtMs = performance.now()
    const hadChanged = await this.#readFunctions(server)
    const read = await this.#knowledge.changedRelations(server, async (ask) => {
      // A statement that waits for a function must not wait for the relations as well.
      if (this.#functions !== undefined) await this.#readFunctionsWithin(ask)
    })
    if (read !== undefined) this.#vouched.sawChange()
    await read?.()
    const hasChanged = hadChanged || read !== undefined
    this.#pauses.checked(hasChanged, performance.now() - startedAtMs)
    const { known } = this.#knowledge.relations
    if (!server.isReplica) this.#missingRelations.wereRead(relations, (name) => known?.has(name) !== false)
    this.#vouched.wasRead(before, { isFromReplica: server.isReplica, hasChanged })
  }

  async #readFunctions(server: CatalogServer): Promise<boolean> {
    this.#isFromReplica = server.isReplica
    const asked = this.#missingFunctions.begin()
    const haveChanged = await this.#knowledge.readFunctions(server)
    if (haveChanged) this.#vouched.sawChange()
    this.#functionsRead(asked, haveChanged)
    return haveChanged
  }

  async #readFunctionsWithin(ask: Ask): Promise<void> {
    const asked = this.#missingFunctions.begin()
    await this.#knowledge.readFunctionsWithin(ask)
    this.#functionsRead(asked)
  }

  /** The functions are known, or no node answers. Statements that wait for them go on. */
  #functionsRead(asked?: readonly FunctionCall[], haveChanged = asked !== undefined): void {
    const { functions: facts } = this.#knowledge
    // What a replica does not have yet, the primary may have.
    if (asked !== undefined && facts !== undefined && !this.#isFromReplica) {
      this.#missingFunctions.wereRead(asked, (call) => facts.effectOf(call) !== 'unknown')
    }
    if (haveChanged) this.#vouched.publish()
    this.#functions?.end()
    this.#functions = undefined
  }
}
