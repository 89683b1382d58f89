import type { QueryResult } from 'kysely'
import { mayHaveRun } from '../replicas/refusal.ts'
import { isRefusal } from '../replicas/server-error.ts'
import type { RoutingContext } from '../routing/context.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { ConnectionSession } from './connection-session.ts'
import type { Session } from './node-driver.ts'
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

  /** Records what a statement did that the primary accepted; `hasWritten` is what that said of it, where it was asked. */
  async ranOnPrimary(
    statement: Statement,
    sql: string,
    result: QueryResult<unknown>,
    { connection }: Session,
    context: RoutingContext | undefined,
    hasWritten: boolean | undefined,
  ): Promise<void> {
    const { exact } = this.#cluster
    exact.ran(statement, sql, connection)
    this.#writes.ran(statement)
    if (!tookEffect(statement, result) || (statement.isUnknown && hasWritten === false)) return
    const isWanted = !this.#writes.inTransaction && this.#writes.wantsPosition(context)
    this.#writes.add(context, isWanted ? await exact.positionAfter(statement, connection) : undefined)
  }

  /** Records what a stream did that its reader has left. */
  streamed(
    statement: Statement,
    sql: string,
    { node, connection }: Session,
    context: RoutingContext | undefined,
  ): void {
    const { exact } = this.#cluster
    if (node.role !== 'primary') return
    exact.ran(statement, sql, connection)
    this.#writes.ran(statement)
    if (statement.countsAsWrite) this.#writes.add(context, exact.positionOf(connection))
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
    // A write whose outcome is unknown counts.
    const hadEffect = statement.countsAsWrite && !(wasRefused && statement.isAllOrNothing)
    if (hadEffect && session.node.role === 'primary') this.#writes.add(context)
  }
}

/** Whether a statement that the server accepted changed anything; an `execute` tells only by what it gives. */
function tookEffect(statement: Statement, result: QueryResult<unknown>): boolean {
  if (statement.countsAsWrite) return !(statement.isRowless && result.numAffectedRows === 0n)
  return statement.kind === 'session' && (result.numAffectedRows ?? 0n) > 0n
}
