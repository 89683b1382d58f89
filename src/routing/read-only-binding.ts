import { WritePinningError } from '../errors.ts'
import type { RoutingContext } from '../freshness/context.ts'
import { ANY, type Requirement } from '../freshness/requirement.ts'
import { isOfRecovery } from '../nodes/error-meaning.ts'
import { isOfPrimary, type Session } from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import { readSessionWork } from '../sql/session-work.ts'
import { READ_WITH_CALLS } from '../sql/statement.ts'
import type { ClientSettings } from './client-settings.ts'
import type { Cluster } from './cluster.ts'
import { claimOf } from './connection-route.ts'
import type { HeldSession } from './held-session.ts'
import type { Outcome } from './outcome.ts'
import type { Query } from './query.ts'
import { type Attempt, type Claim, IS_BOUND, type Route } from './route.ts'
import { proveFresh } from './session-freshness.ts'
import type { Transaction } from './transaction.ts'

/** A statement with its query and its context, so that it can be routed and sent, also once more. */
export interface RoutableStatement {
  readonly query: Query<unknown>
  readonly statement: Statement
  readonly context: RoutingContext | undefined
}

/** How many statements of a transaction are kept to be sent once more. */
const MAX_KEPT = 20

/**
 * Finds the node of a transaction that began as `read only`. BEGIN is sent where a read would go. The first statement
 * binds the transaction to its node. Nothing was read before that statement, so the transaction may begin again on
 * another node for it. Statements that only prepare the transaction (settings, savepoints) do not bind it, and are sent
 * again there.
 */
export class ReadOnlyBinding {
  readonly #cluster: Cluster
  readonly #held: HeldSession
  readonly #transaction: Transaction
  readonly #outcome: Outcome
  readonly #settings: ClientSettings
  /** BEGIN and the statements that have prepared the transaction since; undefined once it is bound. */
  #kept: RoutableStatement[] | undefined
  /** The session on which they were sent. */
  #begunOn: Session | undefined
  /**
   * The BEGIN of this transaction. `commit and chain` begins another one with the same modes. Undefined if they are
   * unknown.
   */
  #begin: RoutableStatement | undefined

  constructor(parts: {
    readonly cluster: Cluster
    readonly held: HeldSession
    readonly transaction: Transaction
    readonly settings: ClientSettings
    readonly outcome: Outcome
  }) {
    this.#cluster = parts.cluster
    this.#held = parts.held
    this.#transaction = parts.transaction
    this.#settings = parts.settings
    this.#outcome = parts.outcome
  }

  /** Whether a transaction is open and stays on its node. */
  get isBound(): boolean {
    return this.#transaction.isOpen && this.#kept === undefined
  }

  /** Whether this statement binds the open transaction to its node. */
  isBoundBy({ isControl }: Statement): boolean {
    return this.#kept !== undefined && !isControl && this.#transaction.isOpen
  }

  /**
   * The route of a statement in the open transaction, after what was attempted before.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_ONLY_ON_PRIMARY` if it belongs on the primary, and the transaction
   * is on a replica.
   */
  routeOf(routable: RoutableStatement, before: Attempt | undefined): Route {
    const { current } = this.#held
    if (this.isBoundBy(routable.statement) && !this.#held.isOfOldPrimary)
      return this.#routeOfFirst(routable, before)
    const { lost } = this.#transaction
    if (current === undefined && lost !== undefined) throw lost.by
    const session = this.#held.currentOrThrow
    if (needsPrimary(this.#cluster, routable) && !this.#mayFailOn(session, routable.context)) {
      throw onlyOnPrimary(this.#cluster.name, session.node.name, 'it was not sent')
    }
    return { node: session.node, reason: 'transaction', claim: IS_BOUND }
  }

  /** The connection is given back. What was begun on it is over. */
  forget(): void {
    this.#kept = undefined
    this.#begin = undefined
  }

  /** If the transaction was lost, its ROLLBACK fails with the same error. */
  rethrowLost(statement: Statement): void {
    const { lost } = this.#transaction
    if (lost === undefined || statement.transaction !== 'rolls-back') return
    this.#transaction.abandon()
    this.#held.letGo(true)
    throw lost.by
  }

  /**
   * Leaves the session for one on another node. A transaction that has only begun there is rolled back in the
   * background.
   */
  moveAway(): void {
    const isAwaited = this.#kept !== undefined && this.#transaction.isOpen
    if (isAwaited && this.#held.current === this.#begunOn) this.#held.rollBack(this.#settings.kept)
    else this.#held.moveAway(this.isBound)
  }

  /**
   * Begins the transaction again on the session that the connection has taken; undefined if there is nothing to begin.
   */
  beginAgainOn(session: Session, claim: Claim): Promise<void> | undefined {
    if (this.#kept === undefined || session === this.#begunOn || !this.#transaction.isOpen) return undefined
    return this.#beginOn(session, this.#kept, claim)
  }

  /**
   * Follows a statement that ran in a transaction, or began one. `isFree` says that its session was taken for it, so
   * nothing was left there before.
   */
  ran(sent: RoutableStatement, session: Session, wasOpen: boolean, isFree: boolean): void {
    const { opens, isControl, transaction: effect, kind } = sent.statement
    if (!this.#transaction.isOpen) {
      this.#kept = undefined
    } else if (!wasOpen) {
      this.#begin = opens === 'read-only' ? sent : undefined
      this.#awaitFirst(session, isFree)
    } else if (effect !== undefined && opens === undefined) {
      // `commit and chain`: something may be left in this session. After a text of several statements, it is unknown
      // what was begun.
      if (!isControl) this.#begin = undefined
      this.#awaitFirst(session, false)
    } else {
      if (kind !== 'read' && !isControl) this.#begin = undefined
      if (this.#kept === undefined) return
      const mayKeep = this.#kept.length < MAX_KEPT && onlyPrepares(sent) && !isOfPrimary(session)
      if (mayKeep) this.#kept.push(sent)
      else if (!isControl) this.#kept = undefined
    }
  }

  /** Draws the conclusions from an error that surfaces in a transaction. Gives the error for the caller. */
  failed(error: unknown, session: Session | undefined, context: RoutingContext | undefined): unknown {
    if (this.#kept !== undefined) {
      // Either the transaction was on its way to another node, and is on none now, or it failed on its node.
      if (this.#held.current !== this.#begunOn) this.#lose(error)
      else if (session !== undefined) this.#kept = undefined
    }
    if (session === undefined || !isOfRecovery(error) || this.#mayFailOn(session, context)) return error
    return onlyOnPrimary(this.#cluster.name, session.node.name, 'the server refused it', error)
  }

  /**
   * How the first statement counts when it chooses the transaction's node: a setting, and a cursor over a read, count
   * as a read.
   */
  asFirstStatement(statement: Statement, text: string): Statement {
    if (statement.kind !== 'session' || statement.isControl) return statement
    const { sets, cursorQuery } = readSessionWork(text)
    const isRead = cursorQuery !== undefined && this.#cluster.classifier.classify(cursorQuery).kind === 'read'
    return isRead || sets !== undefined ? READ_WITH_CALLS : statement
  }

  #routeOfFirst({ query, statement, context }: RoutableStatement, before: Attempt | undefined): Route {
    const { current } = this.#held
    const as = this.asFirstStatement(statement, query.text)
    try {
      const stays = current !== undefined && before?.tried?.has(current.node) !== true
      const requirement = stays ? this.#requirementOf(as, query, context) : undefined
      if (stays && requirement !== undefined && this.#meets(current, requirement)) {
        return { node: current.node, reason: 'transaction', claim: claimOf(current.node, requirement) }
      }
      const route = this.#cluster.routeOf(as, context, query.mark, before)
      return this.#held.sessionFor(route) === undefined ? route : { ...route, reason: 'transaction' }
    } catch (error) {
      if (current === undefined) this.#lose(error)
      throw error
    }
  }

  /** What the statement demands of its node; undefined if no replica will do. */
  #requirementOf(
    { kind }: Statement,
    { mark }: Query<unknown>,
    context: RoutingContext | undefined,
  ): Requirement | undefined {
    if (mark === 'to-primary') return undefined
    if (mark === 'to-replica' && (kind === 'function' || kind === 'primary-table' || kind === 'read'))
      return ANY
    return kind === 'read' ? this.#cluster.requirementOf(context) : undefined
  }

  /** Whether the transaction may stay where it has begun. */
  #meets(session: Session, requirement: Requirement): boolean {
    const { node, client } = session
    // A scope may have been entered since BEGIN, so the reason for the primary may be gone.
    if (isOfPrimary(session)) {
      return (
        requirement.kind === 'atLeast' || (requirement.kind === 'any' && requirement.reason !== 'use-replica')
      )
    }
    if (!this.#cluster.meets(node, requirement)) return false
    // A question in the transaction would take its snapshot. So it may stay only if this session has already proven
    // that it is fresh enough.
    return (
      requirement.kind !== 'atLeast' ||
      this.#cluster.set.positions.hasReported(client, node, requirement.position)
    )
  }

  async #beginOn(session: Session, kept: readonly RoutableStatement[], claim: Claim): Promise<void> {
    if (claim.kind === 'fresh') await proveFresh(this.#cluster, session, claim.position)
    for (const [at, { query, statement, context }] of kept.entries()) {
      await query.send(session, undefined)
      if (at === 0) this.#transaction.abandon()
      this.#outcome.ran(statement, session, context, undefined, undefined)
      if (statement.sets !== undefined) this.#settings.ran(statement, query, session, true)
      else if (at > 0 && statement.isControl) this.#settings.ranInTransaction(query.text, false)
    }
    this.#begunOn = session
  }

  #awaitFirst(session: Session, isFree: boolean): void {
    // What was left in a session of the primary is there, and nowhere else.
    const isAwaited = this.#begin !== undefined && (isFree || !isOfPrimary(session))
    this.#kept = isAwaited && this.#begin !== undefined ? [this.#begin] : undefined
    this.#begunOn = session
  }

  /** The transaction was to begin again, and could not. Nothing of it is left anywhere. */
  #lose(error: unknown): void {
    this.#kept = undefined
    this.#held.mistrust(error)
    this.#held.letGo(true)
    this.#transaction.loseUnsent(error)
  }

  /** Whether this session's answer to the first statement is final, so that no other node is asked. */
  isFinalAnswer(session: Session | undefined, context: RoutingContext | undefined): boolean {
    return session !== undefined && (session.wasPrimary || isNamed(session, context))
  }

  /** Whether the node's own answer is wanted: it is the primary, or a scope asks for it by name. */
  #mayFailOn(session: Session, context: RoutingContext | undefined): boolean {
    return isOfPrimary(session) || isNamed(session, context)
  }
}

/** Whether a scope asks for this very node. */
function isNamed({ node }: Session, context: RoutingContext | undefined): boolean {
  const { override } = context ?? {}
  return override?.kind === 'named' && override.node === node.name
}

/** Whether a statement leaves its transaction unbound: it reads nothing, and can be sent once more. */
function onlyPrepares({ query, statement: { kind, isControl, opens } }: RoutableStatement): boolean {
  // A stream may have rows left to read.
  if (!query.allowsQuestions || kind !== 'session') return false
  return isControl ? opens === undefined : readSessionWork(query.text).sets !== undefined
}

/** Whether a statement may leave a setting or a lock in its session that the next holder must not get. */
export function mayLeaveSomething({ kind, isControl, opens }: Statement, text: string): boolean {
  // A replica runs such a statement only if it is a `do` or the like.
  if (kind === 'function' || kind === 'write') return true
  if (kind !== 'session' || isControl || opens !== undefined) return false
  return !readSessionWork(text).endsWithTransaction
}

/** Whether a replica would refuse the statement, answer it in another way, or take a lock that keeps nobody out. */
function needsPrimary({ classifier }: Cluster, { query, statement }: RoutableStatement): boolean {
  if (statement.kind !== 'session') return classifier.mustRunOnPrimary(statement)
  if (statement.isControl) return false
  const { cursorQuery, needsPrimary } = readSessionWork(query.text)
  return cursorQuery === undefined
    ? needsPrimary
    : classifier.mustRunOnPrimary(classifier.classify(cursorQuery))
}

function onlyOnPrimary(cluster: string, node: string, what: string, cause?: unknown): WritePinningError {
  const why = cause instanceof Error ? ` (${cause.message})` : ''
  return new WritePinningError(
    'ERR_WRITE_PINNING_ONLY_ON_PRIMARY',
    `A statement belongs to the primary of cluster '${cluster}', and its \`read only\` transaction has read from '${node}', which is a replica: ` +
      `${what}${why}. Begin that transaction inside \`usePrimary()\`, or without \`read only\`.`,
    cause === undefined ? {} : { cause },
  )
}
