import type { QueryResult } from 'kysely'
import type { Session } from './node-driver.ts'
import { withinReadTimeout } from './read-timeout.ts'
import { StatementWork } from './statement-work.ts'

/** A statement whose rows come all at once. */
export class QueryWork<R> extends StatementWork<QueryResult<R>> {
  protected run(session: Session): Promise<QueryResult<R>> {
    const running = session.connection.executeQuery<R>(this.query)
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
