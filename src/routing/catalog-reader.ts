import type { Node } from '../nodes/node.ts'
import { catalogOf } from '../sql/catalog.ts'
import type { Definition, StatementClassifier } from '../sql/classifier.ts'
import type { FunctionFacts } from '../sql/function-facts.ts'
import {
  type Ask,
  type CatalogOptions,
  type FunctionsReading,
  readFunctions,
  readRelations,
} from '../sql/read-catalog.ts'
import { NO_RELATIONS, type RelationFacts, withoutPlainTables } from '../sql/relation-facts.ts'
import type { FunctionCall } from '../sql/statement-text.ts'
import { AwaitedReading } from './awaited-reading.ts'
import type { CatalogReports } from './catalog-reports.ts'
import { CatalogSource } from './catalog-source.ts'
import { MissingFunctions } from './missing-functions.ts'

/** How long the catalog is not read again after an unknown function had it read, however many turn up. */
const REST_MS = 10_000
/** How long at most, where no node lets it be read: each failure in a row doubles the rest. */
const MAX_REST_MS = 300_000
/** How long it is left alone after a statement of this process that changed the schema. */
const DEFINITIONS_REST_MS = 1_000
/** How long the primary is left alone after another node had to answer for it; each time in a row that it is up doubles that. */
const PRIMARY_REST_MS = 1_000
/** How many times as long as it took the relations are not read again. */
const RELATIONS_REST = 20
/** How long a reading that is under way when the database is destroyed may take to end by itself. */
const GRACE_MS = 250

/**
 * Reads what the functions and relations of the database do: in the background, once, and again when a function turns up that was not
 * there, or this process changes the schema. The primary is asked; where it does not answer, a replica, and the primary as soon as it
 * does: what a replica says may be out of date. First the functions, which statements may wait for; then the
 * relations, in pages. Until the functions are read PostgreSQL's own are known, and any other is taken for one that writes.
 */
export class CatalogReader {
  readonly #source: CatalogSource
  readonly #classifier: () => StatementClassifier
  readonly #options: CatalogOptions
  readonly #reports: CatalogReports
  #isStopped = false
  /** The reading that is under way; undefined for none. */
  #reading: Promise<void> | undefined
  /** The functions that are being read, or will be before the next page of relations. */
  #functions: AwaitedReading | undefined
  #facts: FunctionFacts | undefined
  readonly #missing = new MissingFunctions()
  #relations: RelationFacts = NO_RELATIONS
  /** Whether the relations may be others than those that were read last. */
  #isStale = true
  /** How often this process has defined what may make a table do more. */
  #effectDefinitions = 0
  /** Whether it was read from a replica last, which may be late. */
  #isLate = false
  /** How often in a row that was so although the primary was up. */
  #lateReadings = 0
  #restsUntilMs = Number.NEGATIVE_INFINITY
  #relationsRestUntilMs = Number.NEGATIVE_INFINITY
  #failures = 0
  #next: NodeJS.Timeout | undefined
  #nextAtMs = Number.POSITIVE_INFINITY

  constructor(parts: {
    readonly nodes: () => readonly Node[]
    readonly classifier: () => StatementClassifier
    readonly options: CatalogOptions
    readonly reports: CatalogReports
  }) {
    this.#source = new CatalogSource(parts.nodes, parts.reports)
    this.#classifier = parts.classifier
    this.#options = parts.options
    this.#reports = parts.reports
  }

  /** Reads it, unless it is being read; never throws. */
  read(): void {
    if (this.#isStopped || this.#functions !== undefined) return
    this.#functions = new AwaitedReading()
    this.#isStale = true
    this.#start()
  }

  /** A statement calls a function that it does not know: reads it again, unless the server has just said that there is none. */
  heardOf(call: FunctionCall): void {
    if (this.#missing.ask(call)) this.#readAgain()
  }

  /** At once, or when it has rested. */
  #readAgain(): void {
    if (this.#functions !== undefined || this.#isStopped) return
    if (this.#isResting) {
      this.#readAt(this.#restsUntilMs)
      return
    }
    clearTimeout(this.#next)
    this.#nextAtMs = Number.POSITIVE_INFINITY
    this.#rest()
    this.read()
  }

  /**
   * This process has changed the schema, or committed what did. Where a trigger or a rule may be new, no table is known to be plain until
   * the relations are read again.
   */
  sawDefinition(definition: Definition): void {
    if (this.#facts === undefined && this.#reading === undefined) return
    this.#isStale = true
    this.#missing.forget()
    if (definition === 'effects') {
      this.#effectDefinitions++
      if (this.#relations.plain.size > 0) {
        this.#relations = withoutPlainTables(this.#relations)
        this.#publish()
      }
    }
    this.#readRelationsLater()
  }

  /** The server says that something wrote which it calls harmless: until it is read again, nothing is known to be that. */
  sawSurprise(): void {
    this.#isStale = true
    this.#publish()
    this.#readAgain()
  }

  /**
   * How to wait for what the server says of a function, until `isKnown`; undefined where it was just asked, does not have it, or does
   * not answer: then nobody waits for it again.
   */
  answer(call: FunctionCall, isKnown: () => boolean): (() => Promise<void>) | undefined {
    if (this.#isStopped || !this.#missing.ask(call)) return undefined
    if (this.#functions === undefined ? this.#isResting : this.#functions.leftMs <= 0) return undefined
    return async () => {
      // One that is under way may have begun before the function was there.
      await this.#functions?.wait()
      if (isKnown()) return
      this.#readAgain()
      await this.#functions?.wait()
    }
  }

  get #isResting(): boolean {
    return performance.now() < this.#restsUntilMs
  }

  /** Ends it; a reading that is under way is cut short, as where a server is frozen. */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#next)
    const cut = setTimeout(() => this.#source.stop(), GRACE_MS)
    await this.#reading
    clearTimeout(cut)
    this.#source.stop()
  }

  #rest(): void {
    const restMs = Math.min(REST_MS * 2 ** this.#failures, MAX_REST_MS)
    this.#restsUntilMs = performance.now() + restMs
  }

  /** A migration has many statements: they have it read once, when they are over for a moment. */
  #readRelationsLater(): void {
    const atMs = Math.max(performance.now() + DEFINITIONS_REST_MS, this.#relationsRestUntilMs)
    this.#readAt(atMs, () => this.read())
  }

  /** Looks every now and then whether the primary answers, and has it read there then. */
  #readFromPrimaryLater(): void {
    const restMs = Math.min(PRIMARY_REST_MS * 2 ** this.#lateReadings, MAX_REST_MS)
    this.#readAt(performance.now() + restMs, () => {
      if (this.#source.isPrimaryUp) this.read()
      else this.#readFromPrimaryLater()
    })
  }

  #readAt(atMs: number, read = () => this.#readAgain()): void {
    if (this.#nextAtMs <= atMs || this.#isStopped) return
    clearTimeout(this.#next)
    this.#nextAtMs = atMs
    this.#next = setTimeout(() => {
      this.#nextAtMs = Number.POSITIVE_INFINITY
      read()
    }, atMs - performance.now()).unref()
  }

  #start(): void {
    this.#reading ??= this.#readFromAny().then((hasRead) => {
      this.#reading = undefined
      this.#failures = hasRead ? 0 : this.#failures + 1
      if (!hasRead) {
        this.#functionsRead()
        // Texts are classified once: who asked, while no node answered, will not ask again.
        this.#rest()
        this.#readAgain()
      } else if (this.#isStopped) this.#functionsRead()
      else if (this.#functions !== undefined) this.#start()
      else if (this.#isLate) this.#readFromPrimaryLater()
      else if (this.#isStale) this.#readRelationsLater()
    })
  }

  async #readFromAny(): Promise<boolean> {
    const from = await this.#source.read((ask, { isLate }) => this.#readFrom(ask, isLate))
    if (from === undefined) {
      this.#reports.wasNotRead(this.#facts !== undefined)
      return false
    }
    this.#lateReadings = from.isLate && this.#source.isPrimaryUp ? this.#lateReadings + 1 : 0
    this.#reports.wasRead()
    return true
  }

  async #readFrom(ask: Ask, isLate: boolean): Promise<void> {
    const definitions = this.#effectDefinitions
    this.#isStale = isLate
    this.#isLate = isLate
    const functions = await this.#readFunctions(ask)
    const startedAtMs = performance.now()
    if (startedAtMs < this.#relationsRestUntilMs) {
      this.#isStale = true
      return
    }
    const askBetween: Ask = async <Row>(text: string, values: readonly unknown[]) => {
      // A statement waits for a function: it must not wait for the relations as well.
      if (this.#functions !== undefined) await this.#readFunctions(ask)
      return await ask<Row>(text, values)
    }
    const relations = await readRelations(askBetween, functions, this.#options)
    const tookMs = performance.now() - startedAtMs
    if (!isLate) this.#relationsRestUntilMs = performance.now() + RELATIONS_REST * tookMs
    const isCurrent = !isLate && definitions === this.#effectDefinitions
    this.#relations = isCurrent ? relations : withoutPlainTables(relations)
    this.#publish()
  }

  async #readFunctions(ask: Ask): Promise<FunctionsReading> {
    const asked = this.#missing.begin()
    const functions = await readFunctions(ask, this.#options)
    // What a late replica does not have the primary may have.
    if (!this.#isLate) this.#missing.wereRead(asked, functions.facts)
    this.#functionsRead(functions.facts)
    return functions
  }

  /** The functions are known, or nobody answers: whoever waits for them goes on. */
  #functionsRead(facts?: FunctionFacts): void {
    if (facts !== undefined) {
      this.#facts = facts
      this.#publish()
    }
    this.#functions?.end()
    this.#functions = undefined
  }

  #publish(): void {
    if (this.#facts !== undefined)
      this.#classifier().catalog = catalogOf(this.#facts, this.#relations, !this.#isStale)
  }
}
