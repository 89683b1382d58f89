import { currentContext, type RoutingContext } from '../freshness/context.ts'
import type { Answered } from '../nodes/asked-query.ts'
import { isRefusal } from '../nodes/error-meaning.ts'
import {
  answerEnded,
  beginLending,
  isOfPrimary,
  noteNothingLent,
  type Session,
  sessionOf,
} from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import type { ConnectionParts } from './connection-parts.ts'
import { routeFrom } from './connection-route.ts'
import { lookBeforeRoute } from './look-before-route.ts'
import type { Query } from './query.ts'
import { ReadDeadline } from './read-deadline.ts'
import { mayLeaveSomething, type RoutableStatement } from './read-only-binding.ts'
import { nextAttempt, routeAroundRefusals, statementOfRefused, tooManyAttempts } from './recovery.ts'
import { type Attempt, again, type Claim, IS_BOUND, IS_PRIMARY, isMovable, type Route } from './route.ts'
import {
  type AnswerListener,
  proveFresh,
  questionAfter,
  questionBefore,
  runAsked,
  StaleNode,
} from './session-freshness.ts'
import {
  attemptAfterRefusedSettings,
  noteSettings,
  prepareSettings,
  reclassify,
  routeAfterRefusedSettings,
} from './statement-settings.ts'

/**
 * One statement on its way, from its text to its result. It is classified and routed, takes a session on its node, and
 * is sent. If that attempt fails, it is tried elsewhere, or its error surfaces. Each turn of the loop in {@link run} is
 * one attempt.
 */
export class StatementRun<T> implements AnswerListener {
  readonly #parts: ConnectionParts
  readonly #query: Query<T>
  readonly context: RoutingContext | undefined
  #statement: Statement
  /** Where it was sent. */
  #route: Route | undefined
  /** What the session answered to a question around it. */
  #told: Answered | undefined
  #deadline: ReadDeadline | undefined
  #tried: Attempt['tried']
  /**
   * What the statement turned out to be when a replica refused it. This holds for its later attempts, even if the text
   * is too long to be kept.
   */
  #refusedAs: Statement | undefined

  /** Call this where the query is made: it takes the context of that code. */
  constructor(parts: ConnectionParts, query: Query<T>) {
    this.#parts = parts
    this.#query = query
    this.context = currentContext()
    parts.cluster.watch.saw(this.context)
    this.#statement = parts.cluster.classifier.classify(query.text)
    // What it sets is remembered after it has run.
    if (this.#statement.sets !== undefined) query.keepValues?.()
  }

  /** Runs it where it belongs. If an attempt fails, runs it where the next attempt says. */
  async run(first?: Attempt): Promise<T> {
    // This is one function with one promise, because on the path of every query each one costs.
    const { cluster, held, binding, settings } = this.#parts
    let attempt = first
    try {
      if (this.#parts.isEnded()) throw new Error('Connection terminated')
      if (settings.mayReclassify(this.#statement)) this.#statement = reclassify(this.#parts, this.#query)
      binding.rethrowLost(this.#statement)
      for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts++) {
        const route: Route = attempt?.route ?? this.#routeAfter(attempt)
        if (route.look !== undefined) {
          await route.look.run()
          attempt = { ...again(attempt), looked: new Set(attempt?.looked).add(route.look.at) }
          continue
        }
        let session = held.sessionFor(route)
        const wasBound = session !== undefined
        // Whether something was waited for since the route was found, so that it may be out of date.
        const hasWaited = !wasBound || attempt?.route !== undefined
        try {
          if (session === undefined) {
            if (route.spills && !(await held.takeTurn(cluster.set.spill))) {
              attempt = again(attempt)
              continue
            }
            binding.moveAway()
            // This waits for the pool's own promise and for none of ours: nearly every query is the first on its
            // connection.
            const lending = beginLending(route.node)
            let lent: Session
            try {
              lent = held.take(sessionOf(route.node, await lending))
            } catch (error) {
              if (!noteNothingLent(route.node, error) || attempt?.retriedWithoutReadOnly === true) throw error
              attempt = { route, tried: attempt?.tried, retriedWithoutReadOnly: true }
              continue
            }
            const preparing = cluster.prepare?.(lent, this.#query.signal)
            if (preparing !== undefined) await held.prepared(preparing)
            // The caller may have given up the query while it waited for a connection.
            this.#query.signal?.throwIfAborted()
            session = lent
            const setting = settings.followTo(lent) ? prepareSettings(this.#parts, lent) : undefined
            if (setting !== undefined && !(await setting)) {
              held.letGo(false)
              attempt = again(attempt)
              continue
            }
          }
          if (hasWaited && !binding.isBound && !cluster.holds(route)) {
            held.letGo(false)
            attempt = again(attempt)
            continue
          }
          const beginning = binding.beginAgainOn(session, route.claim)
          if (beginning !== undefined) await beginning
          const result = await this.#send(session, route)
          route.accepted?.()
          const conclusions = this.#received(result, session, wasBound)
          if (conclusions !== undefined) await conclusions
          return result
        } catch (error) {
          if (error instanceof StaleNode) {
            // The next route must not find this session good enough.
            held.letGo(false)
            attempt = {
              ...again(attempt),
              unproven: new Set(attempt?.unproven).add(route.node),
              looked: new Set(attempt?.looked).add('positions'),
            }
            continue
          }
          const afterSettings =
            session &&
            attemptAfterRefusedSettings(this.#parts, this.#routable, {
              error,
              session,
              route,
              before: attempt,
            })
          if (afterSettings !== undefined) {
            attempt = afterSettings
            continue
          }
          attempt = await this.#failed(error, session, { route, wasBound, before: attempt })
        }
      }
      throw tooManyAttempts(cluster.name, MAX_ATTEMPTS)
    } finally {
      this.#parts.leave()
    }
  }

  /**
   * Whether a query of which a replica gave no row runs once more on the primary: it is marked so, and nothing binds it
   * to that replica.
   */
  get wouldAskPrimary(): boolean {
    if (this.#query.mark !== 'or-primary' || this.#route === undefined) return false
    const { node, reason } = this.#route
    return node.role === 'replica' && reason !== 'use-node' && !this.#parts.transaction.isOpen
  }

  /** Runs it once more, on the primary. */
  runOnPrimary(): Promise<T> {
    const route: Route = { node: this.#parts.cluster.primary, reason: 'or-primary', claim: IS_PRIMARY }
    return this.run({ route, tried: undefined })
  }

  /** Where it goes, after what was attempted before. */
  #routeAfter(before: Attempt | undefined): Route {
    const { held, cluster, transaction, binding } = this.#parts
    const { text, mark } = this.#query
    // The catalog may have been read since, for this statement or for another one.
    if (this.#statement.isUnknown) this.#statement = reclassify(this.#parts, this.#query)
    // Nearly every statement has nothing to wait for.
    const mayWait = this.#statement.isUnknown || this.context?.memory?.carried !== undefined
    const look = mayWait ? lookBeforeRoute(this.#parts, this.#routable, before) : undefined
    if (look !== undefined) return { node: cluster.primary, reason: 'function', claim: IS_PRIMARY, look }
    if (!transaction.isOpen && held.isOfOldPrimary) {
      return { node: held.currentOrThrow.node, reason: 'same-connection', claim: IS_BOUND }
    }
    const route = transaction.isOpen
      ? binding.routeOf(this.#routable, before)
      : routeFrom(held.current?.node, cluster, this.#statement, this.context, mark, before)
    if (isMovable(route.claim) && this.#parts.settings.avoids(route.node))
      return routeAfterRefusedSettings(cluster)
    return route.node.refused === undefined ? route : routeAroundRefusals(cluster, route, text)
  }

  #send(session: Session, route: Route): Promise<T> {
    const { cluster, outcome, transaction } = this.#parts
    const { kind, countsAsWrite, isInDoubt, isVouched, isControl, keepsSettings, sets } = this.#statement
    this.#route = route
    if (keepsSettings) this.#parts.held.closeOnceLeft()
    if (!isControl && this.#query.isOwn !== true) cluster.publish(route, this.#statement, this.#query.text)
    if (
      kind !== 'read' &&
      sets === undefined &&
      !isOfPrimary(session) &&
      mayLeaveSomething(this.#statement, this.#query.text)
    ) {
      outcome.willLeaveSomethingOn(session)
    }
    // The rows of a stream may be used long before it is over, so the attempt to write counts now.
    const isToldLater = isInDoubt && transaction.isOpen
    if (countsAsWrite && !isToldLater && !this.#query.allowsQuestions && isOfPrimary(session))
      transaction.tried(this.context)
    const hasDeadline = kind === 'read' && !transaction.isOpen
    const timeoutMs = hasDeadline ? cluster.set.settings.readTimeoutMs : undefined
    // In a transaction, the session was asked before BEGIN.
    const claim = transaction.isOpen ? IS_BOUND : route.claim
    // Only on the primary it matters whether something wrote.
    const isInQuestion = !isVouched && isOfPrimary(session)
    const asks = claim.kind === 'fresh' || isInQuestion || this.context?.memory?.wantsSeen === true
    const sent = asks ? this.#sendAndAsk(session, claim, timeoutMs) : this.#query.send(session, timeoutMs)
    if (timeoutMs === undefined || this.#query.appliesTimeout === true) return sent
    return this.#withinDeadline(sent, session, timeoutMs)
  }

  async #sendAndAsk(session: Session, claim: Claim, timeoutMs: number | undefined): Promise<T> {
    const { cluster, transaction } = this.#parts
    const send = () => this.#query.send(session, timeoutMs)
    const position = claim.kind === 'fresh' ? claim.position : undefined
    this.#told = undefined
    const { opens, kind, isAllOrNothing } = this.#statement
    // No question can be sent around several reads in one text either: they are sent as they are.
    if (!this.#query.allowsQuestions || opens !== undefined || (kind === 'read' && !isAllOrNothing)) {
      if (position !== undefined) await proveFresh(cluster, session, position)
      return await send()
    }
    const before = questionBefore(session, this.#statement, transaction)
    const resolved = cluster.named.resolve(this.#statement, session.client)
    const after = questionAfter(cluster, session, resolved, this.context?.memory, transaction.isOpen)
    if (position === undefined && before === undefined && after === undefined) return await send()
    return await runAsked(cluster, session, { position, before, after }, this, send)
  }

  onAnswer(told: Answered): void {
    this.#told = told
  }

  /** Draws the conclusions from the result; undefined if there is nothing to wait for. */
  #received(result: T, session: Session, wasBound: boolean): Promise<void> | undefined {
    const { outcome, cluster, transaction, binding, settings } = this.#parts
    const wasOpen = transaction.isOpen
    if (wasOpen && this.#statement.kind !== 'read')
      settings.ranInTransaction(this.#query.text, transaction.hasFailed)
    // A read leaves nothing behind, unless the server says that it wrote: now, or at the commit of its transaction.
    if (this.#statement.kind !== 'read' || this.#told !== undefined || wasOpen) {
      outcome.ran(this.#statement, session, this.context, this.#query.affectedBy(result), this.#told)
    }
    if (wasOpen || transaction.isOpen) binding.ran(this.#routable, session, wasOpen, !wasBound)
    if (this.#statement.sets !== undefined) noteSettings(this.#parts, this.#routable, session)
    const memory = this.context?.memory
    return memory?.wantsSeen ? cluster.readPositions.saw(memory, session, this.#told) : undefined
  }

  /** Finds out what the error of an attempt means, and where to try next. Throws if the error surfaces. */
  async #failed(
    given: unknown,
    session: Session | undefined,
    {
      route,
      wasBound,
      before,
    }: { readonly route: Route; readonly wasBound: boolean; readonly before: Attempt | undefined },
    isOver = this.#query.signal?.aborted === true || !this.#query.mayBeSentAgain || this.#parts.isEnded(),
  ): Promise<Attempt> {
    const { cluster, held, outcome, transaction, binding, settings } = this.#parts
    const { text, mark } = this.#query
    const statement = this.#statement
    const wasOpen = transaction.isOpen
    const isFirst = binding.isBoundBy(statement)
    // If the session is the primary's, or a scope asks for its node, then its refusal of the first statement is final.
    const isFinal = isFirst && isRefusal(given) && binding.isFinalAnswer(session, this.context)
    let error = given
    if (session === undefined) held.leaveTurn()
    else {
      // Only a text that begins or ends a transaction may have left the session in another state.
      const mayTell = statement.transaction !== undefined && isRefusal(given)
      const ended = mayTell ? answerEnded(session.client) : undefined
      if (ended !== undefined) await ended
      if (wasOpen && !statement.isControl && statement.kind !== 'read') settings.failedInTransaction(text)
      error = outcome.failed(given, statement, session, this.context, this.#told)
    }
    if (session?.wasPrimary === false) {
      this.#refusedAs ??= statementOfRefused(cluster, route, statement, text, given)
    }
    const next = await nextAttempt(cluster, {
      ...{ error: given, route, before, mark, context: this.context, sql: text },
      statement: isFirst ? binding.asFirstStatement(statement, text) : statement,
      wasSent: session !== undefined,
      wasPrimary: session?.wasPrimary === true,
      wasBound: wasBound && !isFirst,
      mayRunAnew: !isOver && (!wasOpen || isFirst) && !isFinal,
    })
    if (next === undefined) throw wasOpen ? binding.failed(error, session, this.context) : error
    // A lost session must not serve the next attempt.
    if (held.isMistrusted) held.letGo(false)
    this.#tried = next.tried
    this.#statement = this.#refusedAs ?? reclassify(this.#parts, this.#query)
    return next
  }

  get #routable(): RoutableStatement {
    return { query: this.#query, statement: this.#statement, context: this.context }
  }

  /** The query has already delivered rows, and fails. It is never tried again. Gives the error for the caller. */
  async failedLate(given: unknown): Promise<unknown> {
    const session = this.#parts.held.current
    if (this.#route === undefined || session === undefined) return given
    const failure = { route: this.#route, wasBound: false, before: undefined }
    return await this.#failed(given, session, failure, true).catch((error: unknown) => error)
  }

  /** Records a stream that was read to its end, or that its reader left: it may have written. */
  streamed(): void {
    const session = this.#parts.held.current
    if (session === undefined || (this.#statement.kind === 'read' && !this.#parts.transaction.isOpen)) return
    this.#parts.outcome.ran(this.#statement, session, this.context, undefined, undefined)
  }

  /** Waits for the result, but no longer than all attempts together may take. */
  #withinDeadline(running: Promise<T>, session: Session, timeoutMs: number): Promise<T> {
    const { set } = this.#parts.cluster
    this.#deadline ??= new ReadDeadline(timeoutMs)
    if (this.#route === undefined || !isMovable(this.#route.claim)) {
      return this.#deadline.within(running, session, undefined)
    }
    return this.#deadline.within(running, session, {
      ask: () => set.ask(session.node),
      areThere: () => set.hasOther(session.node, this.#tried),
    })
  }
}

/** Each attempt tries or waits for something new, so the loop ends. More attempts than this mean a bug here. */
const MAX_ATTEMPTS = 50
