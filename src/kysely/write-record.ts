import type { RoutingContext } from '../routing/context.ts'
import { type RequestMemory, rememberAttempt, rememberWrite } from '../routing/memory.ts'
import type { Position } from '../routing/position.ts'
import type { Statement } from '../sql/classifier.ts'
import type { ContextWatch } from './context-watch.ts'

/** Reads the position of what has just been committed; asked only for those who want to know it. */
export type PositionOfCommit = () => Promise<Position | undefined>

/**
 * The writes of one connection: outside a transaction each counts at once, inside it when it commits, and never
 * where it rolls back.
 */
export class WriteRecord {
  readonly #cluster: string
  readonly #watch: ContextWatch
  #uncommitted: Set<RequestMemory> | undefined
  #isHarmless = false

  constructor(cluster: string, watch: ContextWatch) {
    this.#cluster = cluster
    this.#watch = watch
  }

  get inTransaction(): boolean {
    return this.#uncommitted !== undefined
  }

  /** Whether the position of what is committed now will be wanted. */
  wantsPosition(context?: RoutingContext): boolean {
    if (this.#uncommitted === undefined) return context?.memory?.wantsPositions === true
    for (const memory of this.#uncommitted) if (memory.wantsPositions) return true
    return false
  }

  /** Takes note of a statement that the primary has run: a read-only transaction may have been made one that writes. */
  ran({ kind }: Statement): void {
    if (kind === 'session' || kind === 'function' || kind === 'write') this.#isHarmless = false
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
    if (context?.countsWrites === false) return
    if (context?.memory === undefined) this.#watch.sawWriteOutside()
    else if (this.#uncommitted === undefined) this.#remember(context.memory, position)
    else this.#uncommitted.add(context.memory)
  }

  begin(isReadOnly: boolean): void {
    // PostgreSQL only warns of a second `begin`: it is still the same transaction.
    if (this.#uncommitted === undefined) this.#isHarmless = isReadOnly
    this.#uncommitted ??= new Set()
  }

  /** Records what was written in the transaction; without `position` nobody knows whether it was committed. */
  commit(position?: PositionOfCommit): void {
    const committed = this.#uncommitted ?? []
    this.#uncommitted = undefined
    for (const memory of committed) this.#remember(memory, position)
  }

  rollback(): void {
    this.#uncommitted = undefined
  }

  #remember(memory: RequestMemory, position: PositionOfCommit | undefined): void {
    rememberWrite(memory, this.#cluster, memory.wantsPositions ? position?.() : undefined)
  }
}
