import type { QueryResult } from 'kysely'
import { whileConnected } from '../nodes/pool.ts'
import type { Session } from '../nodes/session.ts'
import type { OpenStream } from '../routing/connection.ts'
import { ReadDeadline } from '../routing/read-deadline.ts'

/**
 * The stream of Kysely's own connection, with its first rows already read. It fails if the connection is lost: Kysely's
 * stream alone would wait for ever for its cursor to close. `timeoutMs` limits each of its reads.
 */
export class SessionStream<R> implements OpenStream<QueryResult<R>> {
  readonly #session: Session
  readonly #inner: AsyncIterator<QueryResult<R>>
  readonly #read: () => Promise<IteratorResult<QueryResult<R>>>
  readonly #first: IteratorResult<QueryResult<R>>

  /** Opens the stream. Resolves when its first rows are there. */
  static async open<R>(
    session: Session,
    rows: AsyncIterable<QueryResult<R>>,
    timeoutMs: number | undefined,
  ): Promise<SessionStream<R>> {
    const inner = rows[Symbol.asyncIterator]()
    const read = () => {
      const reading = whileConnected(session.client, inner.next())
      return timeoutMs === undefined ? reading : new ReadDeadline(timeoutMs).within(reading, session)
    }
    return new SessionStream(session, inner, read, await read())
  }

  private constructor(
    session: Session,
    inner: AsyncIterator<QueryResult<R>>,
    read: () => Promise<IteratorResult<QueryResult<R>>>,
    first: IteratorResult<QueryResult<R>>,
  ) {
    this.#session = session
    this.#inner = inner
    this.#read = read
    this.#first = first
  }

  get isEmpty(): boolean {
    return this.#first.done === true
  }

  /** All rows. Call this once. */
  async *rows(): AsyncGenerator<QueryResult<R>, void, undefined> {
    let isOver = false
    try {
      for (let next = this.#first; next.done !== true; ) {
        yield next.value
        isOver = true // if it fails
        next = await this.#read()
        isOver = next.done === true
      }
      isOver = true
    } finally {
      if (!isOver) await this.#leave()
    }
  }

  /**
   * Closes the cursor of a stream that its reader left early. A stream that has ended or failed has nothing left to
   * close. The reader who left gets no error: if a signal ended the stream, Kysely awaits nothing, and a rejection
   * would end the process.
   */
  async #leave(): Promise<void> {
    if (this.#inner.return === undefined) return
    await whileConnected(this.#session.client, this.#inner.return()).catch(ignore)
  }
}

function ignore(): void {}
