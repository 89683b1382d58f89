import { WritePinningError } from '../errors.ts'
import type { RoutingContext } from '../freshness/context.ts'
import { ANY, type Requirement } from '../freshness/requirement.ts'
import { isOfRecovery } from '../nodes/error-meaning.ts'
import { isOfPrimary, type Session } from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import { readSessionWork } from '../sql/session-work.ts'
import { READ_WITH_CALLS } from '../sql/statement.ts'
import type { BoundSession } from './bound-session.ts'
import type { ClientSettings } from './client-settings.ts'
import type { Cluster } from './cluster.ts'
import { claimOf } from './connection-route.ts'
import type { Outcome } from './outcome.ts'
import type { Query } from './query.ts'
import { type Attempt, type Claim, IS_BOUND, type Route } from './route.ts'
import { proveFresh } from './session-freshness.ts'
import type { Transaction } from './transaction.ts'

/** A statement as it is sent, so that it can be sent once more. */
export interface Sent {
  readonly query: Query<unknown>
  readonly statement: Statement
  readonly context: RoutingContext | undefined
}

/** How many statements of a transaction at most are kept, to be sent once more. */
const MAX_KEPT = 20

/**
 * The node of a transaction that began as a `read only` one. Its BEGIN is sent where a read would go, and its first statement binds it: as
 * long as nothing was read in it, that may have it begin anew on another node. What only prepares it (settings, savepoints) binds nothing,
 * and is sent there once more.
 */
export class ReadOnlyBinding {
  readonly #cluster: Cluster
  readonly #own: BoundSession
  readonly #transaction: Transaction
  readonly #outcome: Outcome
  readonly #settings: ClientSettings
  /** BEGIN and what has prepared the transaction since; undefined where it is bound. */
  #kept: Sent[] | undefined
  /** Where those were sent. */
  #begunOn: Session | undefined
  /** How a transaction begins that is chained to this one; undefined where nobody knows its modes. */
  #begin: Sent | undefined

  constructor(parts: {
    readonly cluster: Cluster
    readonly own: BoundSession
    readonly transaction: Transaction
    readonly settings: ClientSettings
    readonly outcome: Outcome
  }) {
    this.#cluster = parts.cluster
    this.#own = parts.own
    this.#transaction = parts.transaction
    this.#settings = parts.settings
    this.#outcome = parts.outcome
  }

  /** Whether a transaction is open, and stays where it is. */
  get isBound(): boolean {
    return this.#transaction.isOpen && this.#kept === undefined
  }

  /** Whether this statement is the one that binds the transaction that is open. */
  isBoundBy({ isControl }: Statement): boolean {
    return this.#kept !== undefined && !isControl && this.#transaction.isOpen
  }

  /**
   * The route of a statement in the transaction that is open, after what was attempted before.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_ONLY_ON_PRIMARY` where it belongs to the primary, and the transaction is on a replica.
   */
  routeOf(sent: Sent, before: Attempt | undefined): Route {
    const { current } = this.#own
    if (this.isBoundBy(sent.statement) && !this.#own.isOfOldPrimary) return this.#routeOfFirst(sent, before)
    const { lost } = this.#transaction
    if (current === undefined && lost !== undefined) throw lost.by
    const { bound } = this.#own
    if (needsPrimary(this.#cluster, sent) && !this.#mayFailOn(bound, sent.context)) {
      throw onlyOnPrimary(this.#cluster.name, bound.node.name, 'it was not sent')
    }
    return { node: bound.node, reason: 'transaction', claim: IS_BOUND }
  }

  /** Its connection is given back: what was begun is nobody's. */
  forget(): void {
    this.#kept = undefined
    this.#begin = undefined
  }

  /** Whoever rolls back what was lost is told that once more. */
  rethrowLost(statement: Statement): void {
    const { lost } = this.#transaction
    if (lost === undefined || statement.transaction !== 'rolls-back') return
    this.#transaction.abandon()
    this.#own.letGo(true)
    throw lost.by
  }

  /** Leaves the session for another node's: what has only begun there is rolled back, and nobody waits for that. */
  moveAway(): void {
    const isAwaited = this.#kept !== undefined && this.#transaction.isOpen
    if (isAwaited && this.#own.current === this.#begunOn) this.#own.rollBack(this.#settings.kept)
    else this.#own.moveAway(this.isBound)
  }

  /** Has the transaction begin on the session that it has come to; undefined where it has. */
  arrive(session: Session, claim: Claim): Promise<void> | undefined {
    if (this.#kept === undefined || session === this.#begunOn || !this.#transaction.isOpen) return undefined
    return this.#beginOn(session, this.#kept, claim)
  }

  /** Follows a statement that ran in a transaction, or began it; `isFree` where its session was taken for it. */
  ran(sent: Sent, session: Session, wasOpen: boolean, isFree: boolean): void {
    const { opens, isControl, transaction: effect, kind } = sent.statement
    if (!this.#transaction.isOpen) {
      this.#kept = undefined
    } else if (!wasOpen) {
      this.#begin = opens === 'read-only' ? sent : undefined
      this.#await(session, isFree)
    } else if (effect !== undefined && opens === undefined) {
      // `commit and chain`, in a session where something may be left; of several statements nobody knows what was begun.
      if (!isControl) this.#begin = undefined
      this.#await(session, false)
    } else {
      if (kind !== 'read' && !isControl) this.#begin = undefined
      if (this.#kept === undefined) return
      const mayKeep = this.#kept.length < MAX_KEPT && onlyPrepares(sent) && !isOfPrimary(session)
      if (mayKeep) this.#kept.push(sent)
      else if (!isControl) this.#kept = undefined
    }
  }

  /** Draws the conclusions from an error that surfaces in a transaction; gives the one that is to be heard. */
  surfaces(error: unknown, session: Session | undefined, context: RoutingContext | undefined): unknown {
    if (this.#kept !== undefined) {
      // The transaction has failed where it is; or it is nowhere, because it was to begin anew.
      if (this.#own.current !== this.#begunOn) this.#lose(error)
      else if (session !== undefined) this.#kept = undefined
    }
    if (session === undefined || !isOfRecovery(error) || this.#mayFailOn(session, context)) return error
    return onlyOnPrimary(this.#cluster.name, session.node.name, 'the server refused it', error)
  }

  /** What a statement is to the node of a transaction that it binds: one that only prepares it may be wherever reads are. */
  asFirst(statement: Statement, text: string): Statement {
    if (statement.kind !== 'session' || statement.isControl) return statement
    const { sets, cursorQuery } = readSessionWork(text)
    const isRead = cursorQuery !== undefined && this.#cluster.classifier.classify(cursorQuery).kind === 'read'
    return isRead || sets !== undefined ? READ_WITH_CALLS : statement
  }

  #routeOfFirst({ query, statement, context }: Sent, before: Attempt | undefined): Route {
    const { current } = this.#own
    const as = this.asFirst(statement, query.text)
    try {
      const stays = current !== undefined && before?.tried?.has(current.node) !== true
      const requirement = stays ? this.#requirementOf(as, query, context) : undefined
      if (stays && requirement !== undefined && this.#meets(current, requirement)) {
        return { node: current.node, reason: 'transaction', claim: claimOf(current.node, requirement) }
      }
      const route = this.#cluster.routeOf(as, context, query.mark, before)
      return this.#own.on(route) === undefined ? route : { ...route, reason: 'transaction' }
    } catch (error) {
      if (current === undefined) this.#lose(error)
      throw error
    }
  }

  /** What it demands of its node, where a replica may be that at all. */
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
    // What the primary was chosen for may be over: a scope was entered since.
    if (isOfPrimary(session)) {
      return (
        requirement.kind === 'atLeast' || (requirement.kind === 'any' && requirement.reason !== 'use-replica')
      )
    }
    if (!this.#cluster.meets(node, requirement)) return false
    // Its snapshot may be taken by the next thing that is asked: what was not proven before BEGIN is proven before another one.
    return (
      requirement.kind !== 'atLeast' ||
      this.#cluster.set.positions.hasTold(client, node, requirement.position)
    )
  }

  async #beginOn(session: Session, kept: readonly Sent[], claim: Claim): Promise<void> {
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

  #await(session: Session, isFree: boolean): void {
    // What was left in a session of the primary's is there, and nowhere else.
    const isAwaited = this.#begin !== undefined && (isFree || !isOfPrimary(session))
    this.#kept = isAwaited && this.#begin !== undefined ? [this.#begin] : undefined
    this.#begunOn = session
  }

  /** It was to begin anew, and did not: nothing of it is anywhere. */
  #lose(error: unknown): void {
    this.#kept = undefined
    this.#own.mistrust(error)
    this.#own.letGo(true)
    this.#transaction.loseUnsent(error)
  }

  /** Whether what a session says of the first statement is the answer to it, and nobody else is asked. */
  isAnswerOf(session: Session | undefined, context: RoutingContext | undefined): boolean {
    return session !== undefined && (session.wasPrimary || isNamed(session, context))
  }

  /** Whether the node's own answer is what is wanted: it is the primary, or was asked for by its name. */
  #mayFailOn(session: Session, context: RoutingContext | undefined): boolean {
    return isOfPrimary(session) || isNamed(session, context)
  }
}

/** Whether a scope asks for this very node. */
function isNamed({ node }: Session, context: RoutingContext | undefined): boolean {
  const { override } = context ?? {}
  return override?.kind === 'named' && override.node === node.name
}

/** Whether a statement binds no transaction to its node: it reads nothing, and can be sent once more. */
function onlyPrepares({ query, statement: { kind, isControl, opens } }: Sent): boolean {
  // Of one whose rows come by and by there would be some left.
  if (!query.canBeAskedAround || kind !== 'session') return false
  return isControl ? opens === undefined : readSessionWork(query.text).sets !== undefined
}

/** Whether a statement may leave a setting or a lock in its session that must not meet the next borrower. */
export function mayKeep({ kind, isControl, opens }: Statement, text: string): boolean {
  // What a replica runs and is called a write is a `do`, or the like.
  if (kind === 'function' || kind === 'write') return true
  if (kind !== 'session' || isControl || opens !== undefined) return false
  return !readSessionWork(text).endsWithTransaction
}

/** Whether a replica would refuse it, answer otherwise than the primary, or have a lock that keeps nobody out. */
function needsPrimary({ classifier }: Cluster, { query, statement }: Sent): boolean {
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
