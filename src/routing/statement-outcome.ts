import type { DatabaseConnection, QueryResult } from 'kysely'
import type { RoutingContext } from '../freshness/context.ts'
import type { Told } from '../nodes/asked-query.ts'
import type { CommitKind } from '../nodes/exact-positions.ts'
import { mayHaveRun } from '../nodes/refusal.ts'
import { isRefusal } from '../nodes/server-error.ts'
import { primaryAnswer, toldCommitKind } from '../nodes/session-questions.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { ConnectionSession } from './connection-session.ts'
import { isOfPrimary, type Session } from './node-driver.ts'
import type { Route } from './route.ts'
import type { WriteRecord } from './write-record.ts'

/** What the statements of one connection leave behind: writes that count, and sessions that nobody else may have. */
export class StatementOutcome {
  readonly #cluster: Cluster
  readonly #session: ConnectionSession
  readonly #writes: WriteRecord

  constructor(cluster: Cluster, session: ConnectionSession, writes: WriteRecord) {
    this.#cluster = cluster
    this.#session = session
    this.#writes = writes
  }

  /** Records what a statement did that the primary accepted; `told` is what that said right after it, where it was asked. */
  ranOnPrimary(
    statement: Statement,
    result: QueryResult<unknown>,
    { connection }: Session,
    context: RoutingContext | undefined,
    told: Told | undefined,
  ): void {
    const { exact } = this.#cluster
    const judged = this.#ran(statement, connection, toldCommitKind(told))
    if (judged.isUnknown && told !== undefined && primaryAnswer(told.answer)?.hasWritten === false) return
    if (judged.countsAsWrite) this.#writes.tried(context)
    if (!judged.mayWrite) return
    const counts = tookEffect(judged, result)
    const isWanted = !this.#writes.inTransaction && this.#writes.wantsPosition(context, counts)
    const position = isWanted ? exact.positionOf(connection) : undefined
    if (counts) this.#writes.add(context, position)
    else this.#writes.addUncounted(context, position)
    this.#writes.follow(statement.transaction)
  }

  /** Records what a stream did that its reader has left. */
  streamed(statement: Statement, session: Session, context: RoutingContext | undefined): void {
    const { exact } = this.#cluster
    const { connection } = session
    if (!isOfPrimary(session)) return
    const judged = this.#ran(statement, connection, undefined)
    const position = judged.mayWrite ? exact.positionOf(connection) : undefined
    if (judged.countsAsWrite) {
      this.#writes.tried(context)
      this.#writes.add(context, position)
    } else if (judged.mayWrite) this.#writes.addUncounted(context, position)
    this.#writes.follow(statement.transaction)
  }

  /** Takes note of what the primary has run, and gives what that was. */
  #ran(statement: Statement, connection: DatabaseConnection, kind: CommitKind | undefined): Statement {
    const { exact, named } = this.#cluster
    const judged = named.judge(statement, connection)
    named.ran(statement, connection)
    exact.ran(statement, connection, kind)
    this.#writes.ran(statement)
    return judged
  }

  /** What `useNode()` had a replica's session keep (a lock, a setting, a `begin`) must not meet its next borrower. */
  willLeaveSomethingOn(session: Session, route: Route): void {
    if (session.node.role === 'replica' && route.reason === 'use-node') this.#session.mistrust(undefined)
  }

  /** Draws the conclusions from the error of a statement that was sent. */
  failed(error: unknown, statement: Statement, session: Session, context: RoutingContext | undefined): void {
    const wasRefused = isRefusal(error)
    // A lost connection, a time-out on this side: the session may still be busy, or gone.
    if (!wasRefused) this.#session.mistrust(error)
    // A function may have taken a lock of the session's before it was refused: no other query must find it.
    else if (session.node.role === 'replica' && statement.hasCalls && mayHaveRun(error)) {
      this.#session.mistrust(undefined)
    }
    if (!isOfPrimary(session)) return
    if (wasRefused) this.#cluster.exact.refused(statement, session.connection)
    // A commit that is refused by itself has rolled back; among several statements it may have been done.
    this.#writes.followFailed(statement.transaction, !wasRefused || statement.kind !== 'session')
    const judged = this.#cluster.named.judge(statement, session.connection)
    if (!judged.mayWrite) return
    if (judged.countsAsWrite) this.#writes.tried(context)
    if (wasRefused && judged.isAllOrNothing) return
    if (judged.defines !== 'nothing') this.#writes.ran(judged)
    // A write whose outcome is unknown counts, and nobody knows when it is committed.
    if (judged.countsAsWrite) this.#writes.add(context)
    else this.#writes.addUncounted(context)
  }
}

/** Whether a statement that the server accepted changed anything that counts. */
function tookEffect(statement: Statement, result: QueryResult<unknown>): boolean {
  return statement.countsAsWrite && !(statement.isRowless && result.numAffectedRows === 0n)
}
