import { AsyncResource } from 'node:async_hooks'
import type { PgConnection } from './client.ts'

/** One query in the queue of a client: it waits, or is under way. */
export interface Work {
  readonly text: string
  /** Sends it, in the context of its caller. */
  readonly send: (connection: PgConnection) => Promise<unknown>
  readonly succeed: (result: unknown) => void
  readonly fail: (error: unknown) => void
  /** Keeps it from being sent, if it still waits for a session. */
  readonly cancel: (because: Error) => void
}

/** The queries of one client. One at a time is under way. */
export class ClientQueue {
  readonly #perform: (work: Work) => void
  readonly #waiting: Work[] = []
  #active: Work | undefined

  /** `perform` begins a query. */
  constructor(perform: (work: Work) => void) {
    this.#perform = perform
  }

  get active(): Work | undefined {
    return this.#active
  }

  get isEmpty(): boolean {
    return this.#active === undefined && this.#waiting.length === 0
  }

  /** Begins a query at once, if `mayBegin` and the queue is empty. Otherwise it waits for its turn. */
  add(work: Work, mayBegin: boolean): void {
    if (mayBegin && this.isEmpty) this.#begin(work)
    else this.#waiting.push(inItsContext(work))
  }

  /**
   * Takes a query that is over out of the queue. Gives false if it is not under way any more: the queue has failed it
   * meanwhile.
   */
  isOver(work: Work): boolean {
    if (this.#active !== work) return false
    this.#active = undefined
    return true
  }

  /** Begins the next query, if there is one. */
  next(): void {
    if (this.#active !== undefined) return
    const next = this.#waiting.shift()
    if (next !== undefined) this.#begin(next)
  }

  /** Fails all queries. */
  fail(error: Error): void {
    const all = this.#active === undefined ? [] : [this.#active]
    all.push(...this.#waiting.splice(0))
    this.#active = undefined
    for (const work of all) {
      work.cancel(error)
      work.fail(error)
    }
  }

  #begin(work: Work): void {
    this.#active = work
    this.#perform(work)
  }
}

/**
 * Binds a waiting query to the context of its caller. Otherwise it would begin in the context of the query before it.
 */
function inItsContext(work: Work): Work {
  const resource = new AsyncResource('write-pinning.Query')
  return {
    ...work,
    send: (connection) => resource.runInAsyncScope(work.send, undefined, connection),
    succeed: (result) => resource.runInAsyncScope(work.succeed, undefined, result),
    fail: (error) => resource.runInAsyncScope(work.fail, undefined, error),
  }
}
