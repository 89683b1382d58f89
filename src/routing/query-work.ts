import type { QueryResult } from 'kysely'
import type { Told } from '../nodes/asked-query.ts'
import { COMMIT_QUESTION } from '../nodes/session-questions.ts'
import { type Hearer, runAsked } from './asked-run.ts'
import { isOfPrimary, type NodeDriver, type Session } from './node-driver.ts'
import type { Claim, Route } from './route.ts'
import { StatementWork } from './statement-work.ts'

/** A statement whose rows come all at once. */
export class QueryWork<R> extends StatementWork<QueryResult<R>> implements Hearer {
  /** What was told right after it. */
  #told: Told | undefined

  protected run(session: Session, { claim }: Route): Promise<QueryResult<R>> {
    const { context, query, statement, timeoutMs } = this
    const asks = claim.kind === 'fresh' || statement.mayWrite || context?.memory?.wantsSeen === true
    const running = asks ? this.#runAsked(session, claim) : session.connection.executeQuery<R>(query)
    return timeoutMs === undefined ? running : this.withinBound(running, session, timeoutMs)
  }

  #runAsked(session: Session, claim: Claim): Promise<QueryResult<R>> {
    const position = claim.kind === 'fresh' ? claim.position : undefined
    const after = this.#questionAfter(session.node)
    this.#told = undefined
    if (position === undefined && after === undefined) return session.connection.executeQuery<R>(this.query)
    return runAsked(this.place.cluster, session, { position, after }, this, () =>
      session.connection.executeQuery<R>(this.query),
    )
  }

  received(result: QueryResult<R>, session: Session): Promise<void> | undefined {
    const { statement, context, place } = this
    const mayHaveChanged = statement.kind !== 'read' && isOfPrimary(session)
    if (mayHaveChanged) place.outcome.ranOnPrimary(statement, result, session, context, this.#told)
    const memory = context?.memory
    return memory?.wantsSeen ? place.cluster.seen.saw(memory, session, this.#told) : undefined
  }

  /** Of several statements in one text, or one that changes its session, nobody can be asked along. */
  #questionAfter(node: NodeDriver): string | undefined {
    const { context, statement } = this
    const { kind, isAllOrNothing, isUnknown, mayWrite } = statement
    if (kind === 'session' || !isAllOrNothing) return undefined
    const memory = context?.memory
    const isOnPrimary = node.role === 'primary'
    if (memory?.wantsSeen === true || (isUnknown && isOnPrimary)) {
      return this.place.cluster.seen.questionFor(node)
    }
    return mayWrite && isOnPrimary && memory?.wantsPositions === true ? COMMIT_QUESTION : undefined
  }

  hear(told: Told): void {
    this.#told = told
  }
}
