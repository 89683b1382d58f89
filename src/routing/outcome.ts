import { WritePinningError } from '../errors.ts'
import type { RoutingContext } from '../freshness/context.ts'
import type { Told } from '../nodes/asked-query.ts'
import { failureOf, isRefusal, mayHaveRun } from '../nodes/error-meaning.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import { toldCommitKind, toldWhetherWritten } from '../nodes/position-questions.ts'
import { isOfPrimary, type Session, transactionStatusOf } from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import type { BoundSession } from './bound-session.ts'
import type { Cluster } from './cluster.ts'
import type { PositionOfCommit, Transaction } from './transaction.ts'

/** What the statements of one connection leave behind: writes that count, and sessions that nobody else may have. */
export class Outcome {
  readonly #cluster: Cluster
  readonly #session: BoundSession
  readonly #transaction: Transaction

  constructor(cluster: Cluster, session: BoundSession, transaction: Transaction) {
    this.#cluster = cluster
    this.#session = session
    this.#transaction = transaction
  }

  /**
   * Records what a statement did that its node accepted. `affected` is how many rows it has changed, where that is known; `told` is what the
   * session said around it, where it was asked.
   */
  ran(
    statement: Statement,
    session: Session,
    context: RoutingContext | undefined,
    affected: number | bigint | undefined,
    told: Told | undefined,
  ): void {
    const { client } = session
    const status = transactionStatusOf(client)
    if (!isOfPrimary(session)) {
      this.#transaction.follow(statement, status, undefined)
      return
    }
    const { exact, named } = this.#cluster
    const judged = named.judge(statement, client)
    named.ran(statement, client)
    const hasWritten = toldWhetherWritten(told)
    const wasInTransaction = this.#transaction.isOpen
    const ofCommit = this.#positionOfCommit(statement, client, told)
    exact.ran(statement, client, ofCommit === undefined ? toldCommitKind(told) : undefined)
    this.#transaction.follow(statement, status, ofCommit, hasWritten)
    // What it has committed is counted by now.
    if (statement.kind === 'session' && ofCommit !== undefined) return
    this.#record(statement, judged, context, {
      isRowless: judged.isRowless && Number(affected) === 0,
      // Of a transaction its commit tells: until then it may have been another statement of it.
      hasWritten: wasInTransaction ? undefined : hasWritten,
      position: this.#transaction.isKnown ? exact.positionOf(client) : undefined,
    })
  }

  /** Records what a statement did that has committed nothing but, perhaps, itself; `judged` is what it ran by its name. */
  #record(
    statement: Statement,
    judged: Statement,
    context: RoutingContext | undefined,
    its: { isRowless: boolean; hasWritten: boolean | undefined; position: PositionOfCommit | undefined },
  ): void {
    const transaction = this.#transaction
    const { countsAsWrite, mayWrite, isVouched } = judged
    const { isRowless, hasWritten, position } = its
    const { transaction: effect } = statement
    const takesId = statement.takesId || judged.takesId
    if (takesId && !isRowless) transaction.blur()
    if (judged.isInDoubt && (isRowless || !judged.isRowless)) {
      if (hasWritten === undefined) transaction.addDoubtful(context, effect, position)
      if (hasWritten !== true) return
    }
    if (countsAsWrite) transaction.tried(context)
    const wrote = hasWritten === true && (isRowless || !takesId)
    if ((countsAsWrite && !isRowless) || wrote) {
      transaction.add(context, effect, position)
      const { catalog } = this.#cluster
      if (!countsAsWrite && isVouched) catalog.sawSurprise()
      else if (judged.isInDoubt || !judged.isAllOrNothing) catalog.sawWork()
      return
    }
    if (mayWrite) transaction.addUncounted(context, effect, position)
    // What is about the session alone, and runs nothing, takes no part.
    if (judged.kind === 'session' && !mayWrite && statement.named === undefined) return
    if (this.#cluster.set.replicas.length > 0) transaction.addRead(context, isVouched && !countsAsWrite)
  }

  /** What `useNode()` had a replica's session keep (a lock, a setting, a `begin`) must not meet its next borrower. */
  willLeaveSomethingOn({ node }: Session): void {
    if (node.role === 'replica') this.#session.mistrust(undefined)
  }

  /** Draws the conclusions from the error of a statement that was sent; gives the error that its caller is to hear. */
  failed(
    error: unknown,
    statement: Statement,
    session: Session,
    context: RoutingContext | undefined,
    told: Told | undefined,
  ): unknown {
    const wasRefused = isRefusal(error)
    // A lost connection, a time-out on this side: the session may still be busy, or gone.
    if (!wasRefused) this.#session.mistrust(error)
    // A function may have taken a lock of the session's before it was refused: no other query must find it.
    else if (session.node.role === 'replica' && statement.hasCalls && mayHaveRun(error)) {
      this.#session.mistrust(undefined)
    }
    if (!wasRefused && this.#isCommit(statement)) return this.#lostCommit(error, session, told)
    this.#transaction.followFailed(statement, wasRefused, transactionStatusOf(session.client))
    if (!isOfPrimary(session)) return error
    if (wasRefused) this.#cluster.exact.refused(statement, session.client)
    const judged = this.#cluster.named.judge(statement, session.client)
    if (!judged.mayWrite) return error
    if (judged.countsAsWrite) this.#transaction.tried(context)
    if (wasRefused && judged.isAllOrNothing) return error
    this.#transaction.sawDefinition(judged.defines)
    // A write whose outcome is unknown counts, and nobody knows when it is committed.
    if (judged.countsAsWrite) this.#transaction.add(context, statement.transaction, undefined)
    else this.#transaction.addUncounted(context, statement.transaction, undefined)
    return error
  }

  /**
   * How to read the position of what a text has committed, where it may have: how a commit alone commits is known of what has run before,
   * or was told along with that; one of several statements may have set it anew.
   */
  #positionOfCommit(
    statement: Statement,
    client: PoolClientLike,
    told: Told | undefined,
  ): PositionOfCommit | undefined {
    if (statement.transaction === undefined) return undefined
    const { exact } = this.#cluster
    const kind = toldCommitKind(told)
    if (statement.kind !== 'session' || kind !== undefined) exact.ran(statement, client, kind)
    return exact.positionOf(client)
  }

  /** Whether it is a commit, alone, of a transaction. */
  #isCommit({ kind, transaction: effect }: Statement): boolean {
    return (
      this.#transaction.isOpen &&
      kind === 'session' &&
      (effect === 'commits' || effect === 'commits-and-begins')
    )
  }

  /** It may be committed. */
  #lostCommit(error: unknown, session: Session, told: Told | undefined): unknown {
    if (failureOf(error) === 'never-sent') {
      // Its connection was dead before: the server has rolled back.
      this.#transaction.loseUnsent(error)
      return error
    }
    const isHarmless = !isOfPrimary(session) || this.#transaction.isHarmless
    const heard = isHarmless ? error : unknownOutcome(session.node.name, error)
    this.#transaction.loseCommit(heard, toldWhetherWritten(told))
    return heard
  }
}

/** A connection was lost at COMMIT: nobody knows whether the transaction was committed, so nobody may repeat it unseen. */
function unknownOutcome(node: string, cause: unknown): WritePinningError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new WritePinningError(
    'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
    `The connection to '${node}' was lost while it committed (${why}): the transaction may have been committed, or not. ` +
      'Look before you run it again.',
    { cause },
  )
}
