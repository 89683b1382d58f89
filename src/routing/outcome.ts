import { WritePinningError } from '../errors.ts'
import type { RoutingContext } from '../freshness/context.ts'
import type { Answered } from '../nodes/asked-query.ts'
import { failureOf, isRefusal, mayHaveRun } from '../nodes/error-meaning.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import { toldCommitKind, toldWhetherWritten } from '../nodes/position-questions.ts'
import { isOfPrimary, type Session, transactionStatusOf } from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { HeldSession } from './held-session.ts'
import type { PositionOfCommit, Transaction } from './transaction.ts'

/**
 * Draws the conclusions from the statements of one connection: which writes count, and which sessions nobody else may
 * get.
 */
export class Outcome {
  readonly #cluster: Cluster
  readonly #held: HeldSession
  readonly #transaction: Transaction

  constructor(cluster: Cluster, held: HeldSession, transaction: Transaction) {
    this.#cluster = cluster
    this.#held = held
    this.#transaction = transaction
  }

  /**
   * Records what an accepted statement did. `affected` is how many rows it has changed, if known. `told` is what the
   * session answered around it, if it was asked.
   */
  ran(
    statement: Statement,
    session: Session,
    context: RoutingContext | undefined,
    affected: number | bigint | undefined,
    told: Answered | undefined,
  ): void {
    const { client } = session
    const status = transactionStatusOf(client)
    if (!isOfPrimary(session)) {
      this.#transaction.follow(statement, status, undefined)
      return
    }
    const { writePositions, named } = this.#cluster
    const resolved = named.resolve(statement, client)
    named.ran(statement, client)
    const hasWritten = toldWhetherWritten(told)
    const wasInTransaction = this.#transaction.isOpen
    const ofCommit = this.#positionOfCommit(statement, client, told)
    writePositions.ran(statement, client, ofCommit === undefined ? toldCommitKind(told) : undefined)
    this.#transaction.follow(statement, status, ofCommit, hasWritten)
    // This was a COMMIT or the like: what it committed is counted by now, and it did nothing else.
    if (statement.kind === 'session' && ofCommit !== undefined) return
    this.#record(statement, resolved, context, {
      affectedNoRow: resolved.needsRows && Number(affected) === 0,
      // In a transaction, the answer may be about an earlier statement. The commit asks again.
      hasWritten: wasInTransaction ? undefined : hasWritten,
      position: this.#transaction.knowsCommit ? writePositions.positionOf(client) : undefined,
    })
  }

  /**
   * Records what the statement itself did, beside ending a transaction. `resolved` is the statement that an `execute`
   * or a `fetch` runs.
   */
  #record(
    statement: Statement,
    resolved: Statement,
    context: RoutingContext | undefined,
    its: { affectedNoRow: boolean; hasWritten: boolean | undefined; position: PositionOfCommit | undefined },
  ): void {
    const transaction = this.#transaction
    const { countsAsWrite, mayWrite, isVouched } = resolved
    const { affectedNoRow, hasWritten, position } = its
    const { transaction: effect } = statement
    const takesId = statement.takesId || resolved.takesId
    if (takesId && !affectedNoRow) transaction.ignoreId()
    if (resolved.isInDoubt && (affectedNoRow || !resolved.needsRows)) {
      if (hasWritten === undefined) transaction.addDoubtful(context, effect, position)
      if (hasWritten !== true) return
    }
    if (countsAsWrite) transaction.tried(context)
    const wrote = hasWritten === true && (affectedNoRow || !takesId)
    if ((countsAsWrite && !affectedNoRow) || wrote) {
      transaction.add(context, effect, position)
      const { catalog } = this.#cluster
      if (!countsAsWrite && isVouched) catalog.sawUnexpectedWrite()
      else if (resolved.isInDoubt || !resolved.isAllOrNothing) catalog.sawPossibleDefinition()
      return
    }
    if (mayWrite) transaction.addUncounted(context, effect, position)
    // A statement about the session alone, which runs nothing else, takes no part in the transaction.
    if (resolved.kind === 'session' && !mayWrite && statement.named === undefined) return
    if (this.#cluster.set.replicas.length > 0) transaction.addRead(context, isVouched && !countsAsWrite)
  }

  /**
   * What a statement in `useNode()` leaves in a replica's session (a lock, a setting, a `begin`) must not reach the
   * next holder. So that session is closed.
   */
  willLeaveSomethingOn({ node }: Session): void {
    if (node.role === 'replica') this.#held.mistrust(undefined)
  }

  /** Draws the conclusions from the error of a statement that was sent. Gives the error for the caller. */
  failed(
    error: unknown,
    statement: Statement,
    session: Session,
    context: RoutingContext | undefined,
    told: Answered | undefined,
  ): unknown {
    const wasRefused = isRefusal(error)
    // After a lost connection, or a timeout on this side, the session may still be busy, or gone.
    if (!wasRefused) this.#held.mistrust(error)
    // A function may have taken a session lock before it was refused. No other client may get that session.
    else if (session.node.role === 'replica' && statement.hasCalls && mayHaveRun(error)) {
      this.#held.mistrust(undefined)
    }
    if (!wasRefused && this.#isCommit(statement)) return this.#lostCommit(error, session, told)
    this.#transaction.followFailed(statement, wasRefused, transactionStatusOf(session.client))
    if (!isOfPrimary(session)) return error
    if (wasRefused) this.#cluster.writePositions.refused(statement, session.client)
    const resolved = this.#cluster.named.resolve(statement, session.client)
    if (!resolved.mayWrite) return error
    if (resolved.countsAsWrite) this.#transaction.tried(context)
    if (wasRefused && resolved.isAllOrNothing) return error
    this.#transaction.sawDefinition(resolved.defines)
    // A write whose outcome is unknown counts, and it is unknown when it is committed.
    if (resolved.countsAsWrite) this.#transaction.add(context, statement.transaction, undefined)
    else this.#transaction.addUncounted(context, statement.transaction, undefined)
    return error
  }

  /**
   * Gives a function that reads the position of what a text may have committed; undefined if the text does not touch
   * its transaction. A lone COMMIT commits in the way (`CommitKind`) that earlier statements showed, or that the
   * session told with it. In a text of several statements, one of them may have changed the way.
   */
  #positionOfCommit(
    statement: Statement,
    client: PoolClientLike,
    told: Answered | undefined,
  ): PositionOfCommit | undefined {
    if (statement.transaction === undefined) return undefined
    const { writePositions } = this.#cluster
    const kind = toldCommitKind(told)
    if (statement.kind !== 'session' || kind !== undefined) writePositions.ran(statement, client, kind)
    return writePositions.positionOf(client)
  }

  /** Whether it is a lone COMMIT of the open transaction. */
  #isCommit({ kind, transaction: effect }: Statement): boolean {
    return (
      this.#transaction.isOpen &&
      kind === 'session' &&
      (effect === 'commits' || effect === 'commits-and-begins')
    )
  }

  /** The connection was lost at a COMMIT, so the transaction may be committed. */
  #lostCommit(error: unknown, session: Session, told: Answered | undefined): unknown {
    if (failureOf(error) === 'never-sent') {
      // The connection was dead before the COMMIT was sent, so the server has rolled back.
      this.#transaction.loseUnsent(error)
      return error
    }
    const isHarmless = !isOfPrimary(session) || this.#transaction.isHarmless
    const heard = isHarmless ? error : unknownOutcome(session.node.name, error)
    this.#transaction.loseCommit(heard, toldWhetherWritten(told))
    return heard
  }
}

/**
 * The error for a connection that was lost at COMMIT. The transaction may be committed or not. Before it is run again,
 * somebody must check that.
 */
function unknownOutcome(node: string, cause: unknown): WritePinningError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new WritePinningError(
    'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
    `The connection to '${node}' was lost while it committed (${why}): the transaction may have been committed, or not. ` +
      'Look before you run it again.',
    { cause },
  )
}
