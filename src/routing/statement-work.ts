import type { CompiledQuery } from 'kysely'
import { currentContext, type RoutingContext } from '../freshness/context.ts'
import type { Statement } from '../sql/classifier.ts'
import { routeFrom } from './connection-route.ts'
import { type Mark, markOf } from './mark.ts'
import type { AbortOptions, Session } from './node-driver.ts'
import { type OtherNodes, ReadBound } from './read-timeout.ts'
import { nextAttempt } from './recovery.ts'
import { aroundRefusals, statementOfRefused, tellAccepted } from './refused-reads.ts'
import { type Attempt, IS_BOUND, IS_PRIMARY, isMovable, type Look, type Route } from './route.ts'
import type { Failed, Place, Work } from './run-work.ts'
import type { StatementOutcome } from './statement-outcome.ts'

/** What the statements of one connection run in. */
export interface StatementPlace extends Place {
  readonly outcome: StatementOutcome
}

/** One statement on its way: what it is, the context it was made in, and where it was sent. */
export abstract class StatementWork<T> implements Work<T> {
  readonly query: CompiledQuery
  readonly options: AbortOptions | undefined
  readonly context: RoutingContext | undefined
  readonly mark: Mark | undefined
  statement: Statement
  /** Where it was sent. */
  route: Route | undefined
  readonly place: StatementPlace
  #bound: ReadBound | undefined
  #tried: Attempt['tried']
  /** What a replica's refusal has told of it, which holds for its later attempts, whether the text is kept or not. */
  #refusedAs: Statement | undefined

  constructor(place: StatementPlace, query: CompiledQuery, options: AbortOptions | undefined) {
    this.place = place
    this.query = query
    this.options = options
    this.context = currentContext()
    place.cluster.watch.saw(this.context)
    this.mark = markOf(query)
    this.statement = place.cluster.classifier.classify(query.sql)
  }

  routeAfter(before: Attempt | undefined): Route {
    const { writes, session, cluster } = this.place
    // It was waited for, or somebody else's statement had the catalog read.
    if (this.statement.isUnknown) this.statement = cluster.classifier.classify(this.query.sql)
    // Nearly every statement has nothing to wait for.
    const mayWait = this.statement.isUnknown || this.context?.memory?.carried !== undefined
    const look = mayWait ? this.#lookFirst(before) : undefined
    if (look !== undefined) return { node: cluster.primary, reason: 'function', claim: IS_PRIMARY, look }
    if (writes.inTransaction) return { node: session.bound.node, reason: 'transaction', claim: IS_BOUND }
    if (session.isOfOldPrimary)
      return { node: session.bound.node, reason: 'same-connection', claim: IS_BOUND }
    const route = routeFrom(session.node, cluster, this.statement, this.context, this.mark, before)
    return route.node.refused === undefined ? route : aroundRefusals(cluster, route, this.query.sql)
  }

  send(session: Session, route: Route): Promise<T> {
    const { cluster, outcome } = this.place
    this.route = route
    cluster.publish(route, this.statement, this.query.sql)
    if (this.statement.kind === 'session') outcome.willLeaveSomethingOn(session, route)
    const sent = this.run(session, route)
    return route.accepted === undefined ? sent : tellAccepted(sent, route.accepted)
  }

  abstract received(result: T, session: Session): Promise<void> | undefined

  /** Sends it, for what comes back, or only for the first of it. */
  protected abstract run(session: Session, route: Route): Promise<T>

  async failed(failure: Failed): Promise<Attempt | undefined> {
    const next = await this.#next(failure, this.options?.signal?.aborted !== true)
    this.#tried = next?.tried
    this.statement = this.#refusedAs ?? this.place.cluster.classifier.classify(this.query.sql)
    return next
  }

  /** The same where it has delivered rows already: it is never tried once more. */
  async failedLate(error: unknown, session: Session): Promise<void> {
    if (this.route === undefined) return
    await this.#next({ error, route: this.route, session, wasBound: false, before: undefined }, false)
  }

  /** Whether a replica that gave no row leaves it to the primary: it is marked so, and nothing binds it to that replica. */
  get mayAskPrimary(): boolean {
    if (this.mark !== 'or-primary' || this.route === undefined) return false
    const { node, reason } = this.route
    return node.role === 'replica' && reason !== 'use-node' && !this.place.writes.inTransaction
  }

  /** How long each of its answers may take, in ms; undefined where that is not bounded. */
  get timeoutMs(): number | undefined {
    const isBounded = this.statement.kind === 'read' && !this.place.writes.inTransaction
    return isBounded ? this.place.cluster.set.settings.readTimeoutMs : undefined
  }

  /** Waits for what comes back no longer than all attempts together may take. */
  protected withinBound<R>(running: Promise<R>, session: Session, timeoutMs: number): Promise<R> {
    const { route } = this
    this.#bound ??= new ReadBound(timeoutMs)
    const isItMovable = route !== undefined && isMovable(route.claim)
    return this.#bound.within(running, session, isItMovable ? this.#others(session) : undefined)
  }

  /** What is waited for before it is known where it belongs; a transaction is where it is already. */
  #lookFirst(before: Attempt | undefined): Look | undefined {
    const { cluster, writes } = this.place
    const { unknownCall, kind } = this.statement
    const atTimeline = writes.inTransaction
      ? undefined
      : cluster.lookFirst(this.context, kind !== 'read', before)
    if (atTimeline !== undefined || unknownCall === undefined || before?.looked?.has('catalog'))
      return atTimeline
    const { classifier, catalog } = cluster
    const run = catalog.answer(unknownCall, () => !classifier.classify(this.query.sql).isUnknown)
    return run && { at: 'catalog', run }
  }

  #others({ node }: Session): OtherNodes {
    const { set } = this.place.cluster
    return {
      ask: () => set.ask(node),
      areThere: () => set.hasOther(node, this.#tried),
    }
  }

  async #next(
    { error, route, session, wasBound, before }: Failed,
    mayRunAnew: boolean,
  ): Promise<Attempt | undefined> {
    const { cluster, session: own, outcome, writes } = this.place
    const { query, statement, mark, context } = this
    if (session === undefined) own.leaveTurn()
    else outcome.failed(error, statement, session, context)
    if (session?.wasPrimary === false) {
      this.#refusedAs ??= statementOfRefused(cluster, route, query.sql, error)
    }
    const next = await nextAttempt(cluster, {
      ...{ error, route, before, wasBound, statement, mark, context, sql: query.sql },
      wasSent: session !== undefined,
      wasPrimary: session?.wasPrimary === true,
      mayRunAnew: mayRunAnew && !writes.inTransaction,
    })
    // A session that was lost must not serve the next attempt.
    if (next !== undefined && own.isMistrusted) await own.letGo(false)
    return next
  }
}
