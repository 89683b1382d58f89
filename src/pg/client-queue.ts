import { AsyncResource } from 'node:async_hooks'
import type { PgConnection } from './client.ts'

/** One query in the queue of a client: it waits, or is under way. */
export interface QueuedQuery {
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
  readonly #perform: (queued: QueuedQuery) => void
  readonly #waiting: QueuedQuery[] = []
  #active: QueuedQuery | undefined

  /** `perform` begins a query. */
  constructor(perform: (queued: QueuedQuery) => void) {
    this.#perform = perform
  }

  get active(): QueuedQuery | undefined {
    return this.#active
  }

  get isEmpty(): boolean {
    return this.#active === undefined && this.#waiting.length === 0
  }

  /** Begins a query at once, if `mayBegin` and the queue is empty. Otherwise it waits for its turn. */
  add(queued: QueuedQuery, mayBegin: boolean): void {
    if (mayBegin && this.isEmpty) this.#begin(queued)
    else this.#waiting.push(inItsContext(queued))
  }

  /**
   * Takes a query that is over out of the queue. Gives false if it is not under way any more: the queue has failed it
   * meanwhile.
   */
  end(queued: QueuedQuery): boolean {
    if (this.#active !== queued) return false
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
    for (const queued of all) {
      queued.cancel(error)
      queued.fail(error)
    }
  }

  #begin(queued: QueuedQuery): void {
    this.#active = queued
    this.#perform(queued)
  }
}

/**
 * Binds a waiting query to the context of its caller. Otherwise it would begin in the context of the query before it.
 */
function inItsContext(queued: QueuedQuery): QueuedQuery {
  const resource = new AsyncResource('write-pinning.Query')
  return {
    ...queued,
    send: (connection) => resource.runInAsyncScope(queued.send, undefined, connection),
    succeed: (result) => resource.runInAsyncScope(queued.succeed, undefined, result),
    fail: (error) => resource.runInAsyncScope(queued.fail, undefined, error),
  }
}
