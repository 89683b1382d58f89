import type { RoutingContext } from '../routing/context.ts'
import { type RequestMemory, rememberWrite } from '../routing/memory.ts'

/**
 * The writes of one connection: outside a transaction each counts at once, inside it when it commits, and never
 * where it rolls back.
 */
export class WriteRecord {
  readonly #cluster: string
  #uncommitted: Set<RequestMemory> | undefined

  constructor(cluster: string) {
    this.#cluster = cluster
  }

  get inTransaction(): boolean {
    return this.#uncommitted !== undefined
  }

  /** Records a write that was made in `context`. */
  add(context: RoutingContext | undefined): void {
    if (context?.memory === undefined || !context.countsWrites) return
    if (this.#uncommitted === undefined) rememberWrite(context.memory, this.#cluster)
    else this.#uncommitted.add(context.memory)
  }

  begin(): void {
    // PostgreSQL only warns of a second `begin`: it is still the same transaction.
    this.#uncommitted ??= new Set()
  }

  commit(): void {
    const committed = this.#uncommitted ?? []
    this.#uncommitted = undefined
    for (const memory of committed) rememberWrite(memory, this.#cluster)
  }

  rollback(): void {
    this.#uncommitted = undefined
  }
}
