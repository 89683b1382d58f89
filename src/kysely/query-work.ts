import type { QueryResult } from 'kysely'
import { runAsked, type Told } from './asked-run.ts'
import type { NodeDriver, Session } from './node-driver.ts'
import type { Route } from './route.ts'
import { StatementWork } from './statement-work.ts'

/** A statement whose rows come all at once. */
export class QueryWork<R> extends StatementWork<QueryResult<R>> {
  /** What was told right after it. */
  #told: Told | undefined

  protected run(session: Session, { claim }: Route): Promise<QueryResult<R>> {
    const execute = () => session.connection.executeQuery<R>(this.query)
    const position = claim.kind === 'fresh' ? claim.position : undefined
    const { isUnknown } = this.statement
    const asks = this.context?.memory?.wantsSeen === true || (isUnknown && session.node.role === 'primary')
    const after = asks ? this.#questionAfter(session.node) : undefined
    this.#told = undefined
    const running =
      position === undefined && after === undefined
        ? execute()
        : runAsked(this.place.cluster, session, { position, after }, this.#hear, execute)
    return this.withinBound(running, session)
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
    const { kind, isAllOrNothing } = this.statement
    if (kind === 'session' || !isAllOrNothing) return undefined
    return this.place.cluster.seen.questionFor(node)
  }

  readonly #hear = (told: Told) => {
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
