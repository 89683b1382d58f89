import type { CompiledQuery, QueryResult } from 'kysely'
import type { AbortOptions, Session } from './node-driver.ts'
import type { Claim, Route } from './route.ts'
import { proveFresh } from './session-freshness.ts'
import { SessionStream } from './session-stream.ts'
import { type StatementPlace, StatementWork } from './statement-work.ts'

/** A statement whose rows come by and by: it may be tried once more until the first of them is there. */
export class StreamWork<R> extends StatementWork<SessionStream<R>> {
  readonly #chunkSize: number

  constructor(
    place: StatementPlace,
    query: CompiledQuery,
    options: AbortOptions | undefined,
    chunkSize: number,
  ) {
    super(place, query, options)
    this.#chunkSize = chunkSize
  }

  protected run(session: Session, { claim }: Route): Promise<SessionStream<R>> {
    const { timeoutMs } = this
    const opening = this.#open(session, claim)
    return timeoutMs === undefined ? opening : this.withinBound(opening, session, timeoutMs)
  }

  async #open(session: Session, claim: Claim): Promise<SessionStream<R>> {
    if (claim.kind === 'fresh') await proveFresh(this.place.cluster, session, claim.position)
    return await SessionStream.open<R>(session, this.query, this.#chunkSize, this.timeoutMs)
  }

  /** All that it will give is in its first snapshot. */
  received(_stream: SessionStream<R>, session: Session): Promise<void> | undefined {
    const memory = this.context?.memory
    return memory?.wantsSeen ? this.place.cluster.seen.saw(memory, session, undefined) : undefined
  }

  /** The rows of a stream that is open, to their end, or until their reader leaves. */
  async *rowsOf(stream: SessionStream<R>): AsyncGenerator<QueryResult<R>, void, undefined> {
    const { statement, context, place } = this
    let hasFailed = false
    try {
      yield* stream.rows()
    } catch (error) {
      hasFailed = true
      await this.failedLate(error, stream.session)
      throw error
    } finally {
      // One that its reader left early may have written all the same.
      if (!hasFailed) place.outcome.streamed(statement, stream.session, context)
    }
  }
}
