import type { RoutingContext } from '../freshness/context.ts'
import {
  coverUncounted,
  type RequestMemory,
  rememberAttempt,
  rememberWrite,
  wantsUncounted,
} from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import type { Definition, Statement } from '../sql/classifier.ts'
import type { TransactionEffect } from '../sql/statement-text.ts'
import type { ContextWatch } from './context-watch.ts'

/** Reads the position of what has just been committed; asked only for those who want to know it. */
export type PositionOfCommit = () => Promise<Position | undefined>

/**
 * The writes of one connection: outside a transaction each counts at once, inside it when it commits, and never
 * where it rolls back. What may have written and does not count is covered by the position of what does.
 */
export class WriteRecord {
  readonly #cluster: string
  readonly #watch: ContextWatch
  #uncommitted: Set<RequestMemory> | undefined
  /** Whose statements in the transaction may have written, and do not count. */
  #uncounted: Set<RequestMemory> | undefined
  /** Whether the server has ended the transaction before Kysely did: what is written now is committed at once. */
  #isOver = false
  #isHarmless = false
  /** What the transaction that is under way has defined. */
  #defined: Definition = 'nothing'
  readonly #onDefinition: (definition: Definition) => void

  /** `onDefinition` hears of statements that may have changed the schema: when they ran, and when they are committed. */
  constructor(cluster: string, watch: ContextWatch, onDefinition: (definition: Definition) => void) {
    this.#cluster = cluster
    this.#watch = watch
    this.#onDefinition = onDefinition
  }

  get inTransaction(): boolean {
    return this.#uncommitted !== undefined
  }

  /** Whether the position of a statement outside a transaction will be wanted. */
  wantsPosition(context: RoutingContext | undefined, counts: boolean): boolean {
    const memory = context?.memory
    if (memory?.wantsPositions !== true) return false
    return (counts && context?.countsWrites !== false) || wantsUncounted(memory, this.#cluster)
  }

  /** Whether the position of the transaction will be wanted, if it is committed now. */
  get wantsPositionOfCommit(): boolean {
    for (const memory of this.#uncommitted ?? []) if (memory.wantsPositions) return true
    for (const memory of this.#uncounted ?? []) if (wantsUncounted(memory, this.#cluster)) return true
    return false
  }

  /** Takes note of a statement that the primary has run: a read-only transaction may have been made one that writes. */
  ran({ kind, defines, transaction }: Statement): void {
    if (defines !== 'nothing') {
      // Also where it may be in a transaction that was begun by a text.
      if (this.#defined !== 'effects') this.#defined = defines
      this.#onDefinition(defines)
    } else if (transaction !== undefined && transaction !== 'begins' && this.#defined !== 'nothing') {
      this.#onDefinition(this.#defined)
      this.#defined = 'nothing'
    }
    this.follow(transaction)
    if (kind === 'session' || kind === 'function' || kind === 'write') this.#isHarmless = false
  }

  /**
   * Takes note of what the server has done to Kysely's transaction by a text of the application's: what that has committed counts, whether
   * Kysely rolls back later or not, and nobody knows its position. A text that also writes is followed before that is recorded, and after.
   */
  follow(effect: TransactionEffect): void {
    if (effect === undefined || !this.inTransaction) return
    this.#isOver = effect !== 'begins' && effect !== 'commits-and-begins'
    if (effect !== 'begins' && effect !== 'rolls-back') this.#countCommitted()
  }

  /** The same of a text that failed: in doubt, it has left no transaction. */
  followFailed(effect: TransactionEffect, mayHaveCommitted: boolean): void {
    if (effect === undefined || effect === 'begins' || !this.inTransaction) return
    this.#isOver = true
    if (mayHaveCommitted && effect !== 'rolls-back') this.#countCommitted()
  }

  /** Whether nothing can have been written in the transaction that is under way. */
  get isHarmless(): boolean {
    return this.#isHarmless
  }

  /** Records an attempt to write in `context`, whatever comes of it. */
  tried(context: RoutingContext | undefined): void {
    if (context?.memory === undefined || context.countsWrites === false) return
    rememberAttempt(context.memory, this.#cluster)
  }

  /** Records a write that was made in `context`; without `position` nobody knows when it is committed. */
  add(context: RoutingContext | undefined, position?: PositionOfCommit): void {
    if (context?.countsWrites === false) {
      this.addUncounted(context, position)
      return
    }
    if (context?.memory === undefined) this.#watch.sawWriteOutside()
    else if (this.#uncommitted === undefined || this.#isOver) this.#remember(context.memory, position)
    else this.#uncommitted.add(context.memory)
  }

  /** Records a statement that may have written, and does not count; `position` is that of a write. */
  addUncounted(context: RoutingContext | undefined, position?: PositionOfCommit): void {
    const memory = context?.memory
    if (memory === undefined || !memory.wantsPositions) return
    if (this.#uncommitted === undefined || this.#isOver) coverUncounted(memory, this.#cluster, position)
    else {
      this.#uncounted ??= new Set()
      this.#uncounted.add(memory)
    }
  }

  begin(isReadOnly: boolean): void {
    // PostgreSQL only warns of a second `begin`: it is still the same transaction.
    if (this.#uncommitted === undefined) {
      this.#isHarmless = isReadOnly
      this.#defined = 'nothing'
    }
    this.#uncommitted ??= new Set()
    this.#isOver = false
  }

  /** Records what was written in the transaction; without `position` nobody knows whether it was committed. */
  commit(position?: PositionOfCommit): void {
    const committed = this.#uncommitted
    const uncounted = this.#uncounted
    const defined = this.#defined
    this.rollback()
    if (defined !== 'nothing') this.#onDefinition(defined)
    this.#count(committed, uncounted, position)
  }

  rollback(): void {
    this.#uncommitted = undefined
    this.#uncounted = undefined
    this.#isOver = false
    this.#defined = 'nothing'
  }

  /** Counts what a text has committed; the transaction is Kysely's still. */
  #countCommitted(): void {
    const committed = this.#uncommitted
    const uncounted = this.#uncounted
    this.#uncommitted = new Set()
    this.#uncounted = undefined
    this.#count(committed, uncounted, undefined)
  }

  #count(
    committed: ReadonlySet<RequestMemory> | undefined,
    uncounted: ReadonlySet<RequestMemory> | undefined,
    position: PositionOfCommit | undefined,
  ): void {
    for (const memory of committed ?? []) this.#remember(memory, position)
    for (const memory of uncounted ?? []) {
      if (committed?.has(memory) !== true) coverUncounted(memory, this.#cluster, position)
    }
  }

  #remember(memory: RequestMemory, position: PositionOfCommit | undefined): void {
    rememberWrite(memory, this.#cluster, memory.wantsPositions ? position?.() : undefined)
  }
}
