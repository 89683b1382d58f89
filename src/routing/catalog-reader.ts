import type { Node } from '../nodes/node.ts'
import { catalogOf } from '../sql/catalog.ts'
import type { Definition, StatementClassifier } from '../sql/classifier.ts'
import { keyOf } from '../sql/function-facts.ts'
import type { Ask, CatalogOptions } from '../sql/read-catalog.ts'
import { type RelationFacts, withoutPlainTables } from '../sql/relation-facts.ts'
import type { FunctionCall } from '../sql/statement-text.ts'
import type { TableName } from '../sql/table-names.ts'
import { AwaitedReading } from './awaited-reading.ts'
import { CatalogKnowledge } from './catalog-knowledge.ts'
import type { CatalogReports } from './catalog-reports.ts'
import { CatalogRests } from './catalog-rests.ts'
import { type CatalogServer, CatalogSource } from './catalog-source.ts'
import { EarliestTimer } from './earliest-timer.ts'
import { isRelation, MissingNames, type Unknown } from './missing-names.ts'

/** How long a reading that is under way when the database is destroyed may take to end by itself. */
const GRACE_MS = 250
const NEVER = -1

/**
 * Knows what the functions and relations of the database do, and keeps that young. The catalog is read in the background: first the functions, which
 * statements may wait for, then the relations. Until the functions are read PostgreSQL's own are known, and any other is taken for one that writes. Then it is
 * looked at once a minute, and at once when a name turns up that was not there, when this process changes the schema, or a server says
 * that something wrote which is called harmless. A look that finds that nothing has changed reads nothing. The primary is asked; for the first reading,
 * where it does not answer, a replica, and the primary as soon as it does: what a replica says may be out of date.
 */
export class CatalogReader {
  readonly #source: CatalogSource
  readonly #classifier: () => StatementClassifier
  readonly #reports: CatalogReports
  readonly #knowledge: CatalogKnowledge
  readonly #rests = new CatalogRests()
  readonly #missingFunctions = new MissingNames<FunctionCall>(keyOf)
  readonly #missingRelations = new MissingNames<TableName>(({ schema, table: name }) =>
    keyOf({ schema, name }),
  )
  #isStopped = false
  /** The reading, or look, that is under way; undefined for none. */
  #reading: Promise<void> | undefined
  /** The same for who waits for it. */
  #look: AwaitedReading | undefined
  /** The functions that are being read, or will be before the next page of relations. */
  #functions: AwaitedReading | undefined
  /** How often something has told that the catalog may be another by now, and how often it had when the primary's was read last. */
  #news = 0
  #newsRead = NEVER
  /** Whether the classifier takes what is known for all that the primary has. */
  #isVouchedFor = false
  /** How often this process has defined what may make a table do more, and how often it had when the relations were read. */
  #effectDefinitions = 0
  #effectDefinitionsRead = 0
  /** Whether it was read from a replica last, which may be late. */
  #isLate = false
  readonly #next = new EarliestTimer()
  /** The look that comes whatever happens. */
  readonly #regular = new EarliestTimer()

  constructor(parts: {
    readonly nodes: () => readonly Node[]
    readonly classifier: () => StatementClassifier
    readonly options: CatalogOptions
    readonly reports: CatalogReports
  }) {
    this.#source = new CatalogSource(parts.nodes, parts.reports)
    this.#classifier = parts.classifier
    this.#reports = parts.reports
    this.#knowledge = new CatalogKnowledge(parts.options)
  }

  /** Reads it from any node, unless it is being read; never throws. */
  read(): void {
    if (this.#isStopped || this.#functions !== undefined) return
    this.#functions = new AwaitedReading()
    this.#news++
    this.#start({ onlyPrimary: false })
  }

  /** A statement names what the catalog does not know: looks for it, unless the server has just said that there is no such thing. */
  heardOf(unknown: Unknown): void {
    if (!isRelation(unknown)) {
      if (this.#missingFunctions.ask(unknown)) this.#readAgain()
    } else if (this.#missingRelations.ask(unknown)) this.#lookSoon()
  }

  /**
   * This process has changed the schema, or committed what did. Where a trigger or a rule may be new, no table is known to be plain until
   * the relations are read again.
   */
  sawDefinition(definition: Definition): void {
    if (!this.#isKnown && this.#reading === undefined) return
    this.#news++
    this.#missingFunctions.forget()
    this.#missingRelations.forget()
    const hadPlainTables = this.#published.plain.size > 0
    if (definition === 'effects') this.#effectDefinitions++
    if (this.#isVouchedFor || (definition === 'effects' && hadPlainTables)) this.#publish()
    this.#rests.sawDefinition()
    this.#next.at(this.#rests.definitionsEndMs, this.#lookNow)
  }

  /** The server says that something wrote which the catalog calls harmless: until it is looked at again, nothing is known to be that. */
  sawSurprise(): void {
    this.#news++
    if (this.#isVouchedFor) this.#publish()
    this.#lookSoon()
  }

  /**
   * How to wait for what the server says of a name, until `isKnown`; undefined where it was just asked, does not have it, or does not
   * answer.
   */
  answer(unknown: Unknown, isKnown: () => boolean): (() => Promise<void>) | undefined {
    const isOfRelation = isRelation(unknown)
    const isOpen = isOfRelation ? this.#missingRelations.ask(unknown) : this.#missingFunctions.ask(unknown)
    if (this.#isStopped || !isOpen) return undefined
    const underWay = () => (isOfRelation ? this.#look : this.#functions)
    const isResting = isOfRelation ? this.#rests.areLooksResting : this.#rests.areFunctionsResting
    const awaited = underWay()
    if (awaited === undefined ? isResting : awaited.leftMs <= 0) return undefined
    return async () => {
      // One that is under way may have begun before it was there.
      await underWay()?.wait()
      if (isKnown()) return
      if (isOfRelation) this.#lookSoon()
      else this.#readAgain()
      await underWay()?.wait()
    }
  }

  /** Ends it; a reading that is under way is cut short, as where a server is frozen. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#next.stop()
    this.#regular.stop()
    const cut = setTimeout(() => this.#source.stop(), GRACE_MS)
    await this.#reading
    clearTimeout(cut)
    this.#source.stop()
  }

  /** Whether what is known is all that the primary has, as far as anybody has told. */
  get #isCurrent(): boolean {
    return this.#newsRead === this.#news
  }

  get #isKnown(): boolean {
    return this.#knowledge.functions !== undefined
  }

  /** For a function that nobody knows: at once, or when it has rested. */
  readonly #readAgain = (): void => {
    if (this.#functions !== undefined || this.#isStopped) return
    if (this.#rests.areFunctionsResting) {
      this.#next.at(this.#rests.functionsEndMs, this.#readAgain)
      return
    }
    this.#rests.functionsWereAsked()
    this.read()
  }

  /** Looks at once, or when that has rested. */
  #lookSoon(): void {
    if (this.#reading === undefined && !this.#rests.areLooksResting) this.#lookNow()
    else this.#next.at(this.#rests.looksEndMs, this.#lookNow)
  }

  /** Looks whether it has changed. Only the primary can say so, and what is known holds while that does not answer. */
  readonly #lookNow = (): void => {
    // What is being read may be too early: another look follows.
    if (this.#reading !== undefined) this.#news++
    else if (this.#isKnown && !this.#isLate) this.#start({ onlyPrimary: true })
  }

  /** Once a minute, whatever anybody knows; a primary that is down is not asked. */
  #lookRegularly(): void {
    this.#regular.at(this.#rests.regularLookMs, () => {
      if (this.#source.isPrimaryUp) this.#lookNow()
      this.#lookRegularly()
    })
  }

  /** Looks every now and then whether the primary answers, and has it read there then. */
  readonly #readFromPrimary = (): void => {
    if (this.#source.isPrimaryUp) this.read()
    else this.#next.at(this.#rests.primaryEndMs, this.#readFromPrimary)
  }

  #start(from: { readonly onlyPrimary: boolean }): void {
    if (this.#reading !== undefined || this.#isStopped) return
    this.#next.clear()
    this.#look = new AwaitedReading()
    this.#reading = this.#readFromAny(from).then((hasRead) => {
      this.#reading = undefined
      this.#look?.end()
      this.#look = undefined
      this.#afterReading(hasRead, from)
    })
  }

  /** What follows on a reading. */
  #afterReading(hasRead: boolean, { onlyPrimary }: { readonly onlyPrimary: boolean }): void {
    this.#rests.ended(hasRead)
    if (this.#isStopped || (!hasRead && !onlyPrimary)) this.#functionsRead()
    if (this.#functions !== undefined) this.#start({ onlyPrimary: false })
    else if (!hasRead) {
      // Texts are classified once: who asked, while no node answered, will not ask again.
      this.#rests.functionsWereAsked()
      this.#next.at(this.#rests.functionsEndMs, onlyPrimary ? this.#lookNow : this.#readAgain)
    } else if (this.#isLate) this.#next.at(this.#rests.primaryEndMs, this.#readFromPrimary)
    else {
      if (!this.#isCurrent || this.#missingRelations.areOpen)
        this.#next.at(this.#rests.looksEndMs, this.#lookNow)
      this.#lookRegularly()
    }
  }

  async #readFromAny(from: { readonly onlyPrimary: boolean }): Promise<boolean> {
    const server = await this.#source.read((each) => this.#readFrom(each), from)
    if (server === undefined) {
      this.#reports.wasNotRead(this.#isKnown)
      return false
    }
    this.#rests.wasRead(server.isLate && this.#source.isPrimaryUp)
    this.#reports.wasRead()
    return true
  }

  async #readFrom(server: CatalogServer): Promise<void> {
    const news = this.#news
    const definitions = this.#effectDefinitions
    const relations = this.#missingRelations.begin()
    const startedAtMs = performance.now()
    const hadChanged = await this.#readFunctions(server)
    const read = await this.#knowledge.changedRelations(server, async (ask) => {
      // A statement waits for a function: it must not wait for the relations as well.
      if (this.#functions !== undefined) await this.#readFunctionsWithin(ask)
    })
    if (read !== undefined) this.#newsRead = NEVER
    if (read !== undefined && this.#isVouchedFor) this.#publish()
    await read?.()
    const hasChanged = hadChanged || read !== undefined
    this.#rests.looked(hasChanged, performance.now() - startedAtMs)
    const { known } = this.#knowledge.relations
    if (!server.isLate) this.#missingRelations.wereRead(relations, (name) => known?.has(name) !== false)
    this.#newsRead = server.isLate ? NEVER : news
    const isSame = this.#isCurrent === this.#isVouchedFor && definitions === this.#effectDefinitionsRead
    this.#effectDefinitionsRead = definitions
    // Nearly every look ends here: what is known of the texts goes on to hold.
    if (isSame && !hasChanged) return
    this.#publish()
    // What replicas refused is judged anew by what is known now.
    if (hasChanged) this.#classifier().forgetRefused()
  }

  async #readFunctions(server: CatalogServer): Promise<boolean> {
    this.#isLate = server.isLate
    const asked = this.#missingFunctions.begin()
    const haveChanged = await this.#knowledge.readFunctions(server)
    if (haveChanged) this.#newsRead = NEVER
    this.#functionsRead(asked, haveChanged)
    return haveChanged
  }

  async #readFunctionsWithin(ask: Ask): Promise<void> {
    const asked = this.#missingFunctions.begin()
    await this.#knowledge.readFunctionsWithin(ask)
    this.#functionsRead(asked)
  }

  /** The functions are known, or nobody answers: whoever waits for them goes on. */
  #functionsRead(asked?: readonly FunctionCall[], haveChanged = asked !== undefined): void {
    const { functions: facts } = this.#knowledge
    // What a late replica does not have the primary may have.
    if (asked !== undefined && facts !== undefined && !this.#isLate) {
      this.#missingFunctions.wereRead(asked, (call) => facts.effectOf(call) !== 'unknown')
    }
    if (haveChanged) this.#publish()
    this.#functions?.end()
    this.#functions = undefined
  }

  /** What may be said of the relations by now. */
  get #published(): RelationFacts {
    const { relations } = this.#knowledge
    return this.#effectDefinitions === this.#effectDefinitionsRead ? relations : withoutPlainTables(relations)
  }

  #publish(): void {
    const { functions } = this.#knowledge
    if (functions === undefined) return
    this.#isVouchedFor = this.#isCurrent
    this.#classifier().catalog = catalogOf(functions, this.#published, this.#isCurrent)
  }
}
