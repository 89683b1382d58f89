import type { QueryResult } from 'kysely'
import type { Session } from './node-driver.ts'
import { withinReadTimeout } from './read-timeout.ts'
import type { Route } from './route.ts'
import { runFresh } from './session-freshness.ts'
import { StatementWork } from './statement-work.ts'

/** A statement whose rows come all at once. */
export class QueryWork<R> extends StatementWork<QueryResult<R>> {
  protected run(session: Session, { claim }: Route): Promise<QueryResult<R>> {
    const execute = () => session.connection.executeQuery<R>(this.query)
    const running =
      claim.kind === 'fresh' ? runFresh(this.place.cluster, session, claim.position, execute) : execute()
    const { timeoutMs } = this
    return timeoutMs === undefined ? running : withinReadTimeout(running, timeoutMs, session)
  }

  received(result: QueryResult<R>, session: Session): Promise<void> | undefined {
    const { statement, context, place, query } = this
    const mayHaveChanged = session.node.role === 'primary' && statement.kind !== 'read'
    const noted = mayHaveChanged
      ? place.outcome.ranOnPrimary(statement, query.sql, result, session, context)
      : undefined
    const memory = context?.memory
    if (!memory?.wantsSeen) return noted
    const see = () => place.cluster.exact.saw(session.node, memory)
    if (noted !== undefined) return noted.then(see)
    see()
    return undefined
  }
}
