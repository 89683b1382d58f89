import { WritePinningError } from '../errors.ts'
import type { RoutingContext } from '../freshness/context.ts'
import type { Told } from '../nodes/asked-query.ts'
import { failureOf, isRefusal, mayHaveRun } from '../nodes/error-meaning.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import { primaryAnswer, toldCommitKind } from '../nodes/position-questions.ts'
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
   * session said right after it, where it was asked.
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
    const ofCommit = this.#positionOfCommit(statement, client)
    exact.ran(statement, client, toldCommitKind(told))
    this.#transaction.follow(statement, status, ofCommit)
    // What it has committed is counted by now.
    if (statement.kind === 'session' && ofCommit !== undefined) return
    if (judged.isUnknown && told !== undefined && primaryAnswer(told.answer)?.hasWritten === false) return
    if (judged.countsAsWrite) this.#transaction.tried(context)
    if (!judged.mayWrite) return
    const counts = judged.countsAsWrite && !(judged.isRowless && Number(affected) === 0)
    const position = this.#transaction.isKnown ? exact.positionOf(client) : undefined
    if (counts) this.#transaction.add(context, statement.transaction, position)
    else this.#transaction.addUncounted(context, statement.transaction, position)
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
  ): unknown {
    const wasRefused = isRefusal(error)
    // A lost connection, a time-out on this side: the session may still be busy, or gone.
    if (!wasRefused) this.#session.mistrust(error)
    // A function may have taken a lock of the session's before it was refused: no other query must find it.
    else if (session.node.role === 'replica' && statement.hasCalls && mayHaveRun(error)) {
      this.#session.mistrust(undefined)
    }
    if (!wasRefused && this.#isCommit(statement)) return this.#lostCommit(error, session)
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
  #positionOfCommit(statement: Statement, client: PoolClientLike): PositionOfCommit | undefined {
    if (statement.transaction === undefined) return undefined
    const { exact } = this.#cluster
    if (statement.kind !== 'session') exact.ran(statement, client, undefined)
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
  #lostCommit(error: unknown, session: Session): unknown {
    if (failureOf(error) === 'never-sent') {
      // Its connection was dead before: the server has rolled back.
      this.#transaction.loseUnsent(error)
      return error
    }
    const isHarmless = !isOfPrimary(session) || this.#transaction.isHarmless
    const told = isHarmless ? error : unknownOutcome(session.node.name, error)
    this.#transaction.loseCommit(told)
    return told
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
