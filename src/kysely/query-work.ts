import type { QueryResult } from 'kysely'
import { type Hearer, runAsked, type Told } from './asked-run.ts'
import type { NodeDriver, Session } from './node-driver.ts'
import type { Claim, Route } from './route.ts'
import { StatementWork } from './statement-work.ts'

/** A statement whose rows come all at once. */
export class QueryWork<R> extends StatementWork<QueryResult<R>> implements Hearer {
  /** What was told right after it. */
  #told: Told | undefined

  protected run(session: Session, { claim }: Route): Promise<QueryResult<R>> {
    const { context, query, statement, timeoutMs } = this
    const asks = claim.kind === 'fresh' || statement.isUnknown || context?.memory?.wantsSeen === true
    const running = asks ? this.#runAsked(session, claim) : session.connection.executeQuery<R>(query)
    return timeoutMs === undefined ? running : this.withinBound(running, session, timeoutMs)
  }

  #runAsked(session: Session, claim: Claim): Promise<QueryResult<R>> {
    const position = claim.kind === 'fresh' ? claim.position : undefined
    const after = this.#questionAfter(session.node)
    this.#told = undefined
    return runAsked(this.place.cluster, session, { position, after }, this, () =>
      session.connection.executeQuery<R>(this.query),
    )
  }

  received(result: QueryResult<R>, session: Session): Promise<void> | undefined {
    const { statement, context, place, query } = this
    const mayHaveChanged = session.node.role === 'primary' && statement.kind !== 'read'
    const noted = mayHaveChanged
      ? place.outcome.ranOnPrimary(statement, query.sql, result, session, context, hasWritten(this.#told))
      : undefined
    const memory = context?.memory
    if (!memory?.wantsSeen) return noted
    const seen = place.cluster.seen.saw(memory, session, this.#told)
    return noted === undefined || seen === undefined
      ? (noted ?? seen)
      : Promise.all([noted, seen]).then(ignore)
  }

  /** Of several statements in one text, or one that changes its session, nobody can be asked along. */
  #questionAfter(node: NodeDriver): string | undefined {
    const { context, statement } = this
    const { kind, isAllOrNothing, isUnknown } = statement
    const isWanted = context?.memory?.wantsSeen === true || (isUnknown && node.role === 'primary')
    if (!isWanted || kind === 'session' || !isAllOrNothing) return undefined
    return this.place.cluster.seen.questionFor(node)
  }

  hear(told: Told): void {
    this.#told = told
  }
}

/** What a primary said of the statement before; undefined where it was not asked, or was none. */
function hasWritten(told: Told | undefined): boolean | undefined {
  const wrote = told?.answer[PRIMARY_QUESTION_WROTE]
  return wrote === undefined ? undefined : wrote === 't'
}

/** Which column of the answer says so; a replica's has none. */
const PRIMARY_QUESTION_WROTE = 3

function ignore(): void {}
