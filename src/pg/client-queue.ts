import { AsyncResource } from 'node:async_hooks'
import type { PgConnection } from './client.ts'

/** A query of a client's that was not sent yet, or is under way. */
export interface Work {
  readonly text: string
  /** Sends it, in the context of whoever has asked for it. */
  readonly send: (connection: PgConnection) => Promise<unknown>
  readonly succeed: (result: unknown) => void
  readonly fail: (error: unknown) => void
  /** Has it not sent any more, where it waits for a session. */
  readonly cancel: (because: Error) => void
}

/** The queries of one client, of which one at a time is under way. */
export class ClientQueue {
  readonly #perform: (work: Work) => void
  readonly #waiting: Work[] = []
  #active: Work | undefined

  /** `perform` begins what is next. */
  constructor(perform: (work: Work) => void) {
    this.#perform = perform
  }

  get active(): Work | undefined {
    return this.#active
  }

  get isEmpty(): boolean {
    return this.#active === undefined && this.#waiting.length === 0
  }

  /** Begins it at once, where it may and none is before it; else it waits for its turn. */
  add(work: Work, mayBegin: boolean): void {
    if (mayBegin && this.isEmpty) this.#begin(work)
    else this.#waiting.push(inItsContext(work))
  }

  /** What was under way is over; gives it, unless something else became of it meanwhile. */
  isOver(work: Work): boolean {
    if (this.#active !== work) return false
    this.#active = undefined
    return true
  }

  /** Begins the next one, if any. */
  next(): void {
    if (this.#active !== undefined) return
    const next = this.#waiting.shift()
    if (next !== undefined) this.#begin(next)
  }

  /** Fails all of them. */
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

/** One that waits begins in the context of the one before it. */
function inItsContext(work: Work): Work {
  const resource = new AsyncResource('write-pinning.Query')
  return {
    ...work,
    send: (connection) => resource.runInAsyncScope(work.send, undefined, connection),
    succeed: (result) => resource.runInAsyncScope(work.succeed, undefined, result),
    fail: (error) => resource.runInAsyncScope(work.fail, undefined, error),
  }
}
