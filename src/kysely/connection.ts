import type { CompiledQuery, DatabaseConnection, QueryResult, TransactionSettings } from 'kysely'
import { currentContext, type RoutingContext } from '../routing/context.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import { routeFrom } from './connection-route.ts'
import { ConnectionSession } from './connection-session.ts'
import { ConnectionTransaction } from './connection-transaction.ts'
import { type Mark, markOf } from './marks.ts'
import type {
  AbortOptions,
  Acquisition,
  ControlConnectionProvider,
  NodeDriver,
  Session,
} from './node-driver.ts'
import { withinReadTimeout } from './read-timeout.ts'
import { type FailedStatement, nextAttempt } from './recovery.ts'
import type { Attempt, Route } from './route.ts'
import { streamOn } from './session-stream.ts'
import { StatementOutcome } from './statement-outcome.ts'
import { WriteRecord } from './write-record.ts'

/**
 * The connection that Kysely sees. It binds to a node at its first statement, moves to the primary at the first
 * one that needs it, and runs everything through Kysely's own connection to that node.
 */
export class RoutedConnection implements Required<DatabaseConnection> {
  /** This connection, as a promise that is made once. */
  readonly #opened: Promise<this> = Promise.resolve(this)
  readonly #cluster: Cluster
  readonly #writes: WriteRecord
  readonly #session = new ConnectionSession()
  readonly #transaction: ConnectionTransaction
  readonly #outcome: StatementOutcome
  readonly #readTimeoutMs: number | undefined
  #isReleased = false
  /** How many statements are under way. */
  #running = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#writes = new WriteRecord(cluster.name)
    this.#outcome = new StatementOutcome(cluster, this.#session, this.#writes)
    this.#transaction = new ConnectionTransaction({
      cluster,
      session: this.#session,
      writes: this.#writes,
      // Kysely may have replaced it by one that logs.
      execute: (query) => this.executeQuery(query),
    })
    this.#readTimeoutMs = cluster.set.settings.readTimeoutMs
  }

  /** Lends it out, anew or again. */
  open(): Promise<this> {
    this.#isReleased = false
    this.#session.reset()
    return this.#opened
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortOptions): Promise<QueryResult<R>> {
    return this.#execute<R>(query, options)
  }

  /** Runs a statement where it belongs, or, after a node has failed it, as the next `attempt` says. */
  async #execute<R>(
    query: CompiledQuery,
    options?: AbortOptions,
    attempt?: Attempt,
  ): Promise<QueryResult<R>> {
    if (query === this.#transaction.command) return this.#session.bound.connection.executeQuery<R>(query)
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query.sql)
    const mark = markOf(query)
    const route = attempt?.route ?? this.#routeOf(statement, context, mark, attempt)
    const { node } = route
    if (route.look !== undefined) {
      await this.#during(route.look())
      return await this.#execute<R>(query, options, { tried: attempt?.tried, hasLooked: true })
    }
    let session = this.#session.on(node)
    const wasBound = session !== undefined
    let first: Acquisition | undefined
    let next: Attempt | undefined
    // What becomes of it then is the affair of the call that it is handed to: its error must not be taken for this node's.
    let isHandedOn = false
    this.#running++
    try {
      if (session === undefined) {
        if (route.spills && !(await this.#session.takeTurn(this.#cluster.set.spill))) {
          isHandedOn = true
          return await this.#execute<R>(query, options, { tried: attempt?.tried })
        }
        // Kysely's own promise is awaited, and none of ours: nearly every query is the first on its connection.
        first = this.#session.beginFirst(node, options)
        session =
          first === undefined
            ? await this.#session.moveTo(node, this.#writes.inTransaction, options)
            : this.#session.take({ node, connection: await first.connection, client: first.client }, options)
        isHandedOn = session === undefined || !this.#holds(route)
        if (isHandedOn || session === undefined) {
          if (session !== undefined) await this.#session.letGo(false)
          return await this.#execute<R>(query, options, { tried: attempt?.tried })
        }
      }
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#outcome.willLeaveSomethingOn(session, route)
      const { readTimeoutMs } = this.#cluster.set.settings
      const running = session.connection.executeQuery<R>(query)
      const isBounded =
        readTimeoutMs !== undefined && statement.kind === 'read' && !this.#writes.inTransaction
      const result = await (isBounded ? withinReadTimeout(running, readTimeoutMs, session) : running)
      if (session.node.role === 'primary' && statement.kind !== 'read') {
        await this.#outcome.ranOnPrimary(statement, query.sql, result, session, context)
      }
      if (context?.memory?.wantsSeen) this.#cluster.exact.saw(session.node, context.memory)
      if (mark !== 'or-primary' || result.rows.length > 0 || !this.#mayTryPrimary(route)) return result
      next = { route: { node: this.#cluster.primary, reason: 'or-primary' }, tried: attempt?.tried }
    } catch (error) {
      if (isHandedOn) throw error
      const isGivenUp = first !== undefined && this.#session.current?.client !== first.client
      if (isGivenUp && (await node.giveUp(first as Acquisition, error)) && attempt?.didWithout !== true) {
        next = { route, tried: attempt?.tried, didWithout: true }
      } else {
        const failed = { error, sql: query.sql, statement, mark, context, route, tried: attempt?.tried }
        next = await this.#recover(failed, session, wasBound, options?.signal?.aborted !== true)
      }
      if (next === undefined) throw error
    } finally {
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
    return await this.#execute<R>(query, options, next)
  }

  streamQuery<R>(
    query: CompiledQuery,
    chunkSize = 100,
    options?: AbortOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    return this.#stream<R>(query, chunkSize, options)
  }

  async *#stream<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortOptions,
    attempt?: Attempt,
  ): AsyncGenerator<QueryResult<R>, void, undefined> {
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query.sql)
    const mark = markOf(query)
    const route = attempt?.route ?? this.#routeOf(statement, context, mark, attempt)
    const { node } = route
    if (route.look !== undefined) {
      await this.#during(route.look())
      return yield* this.#stream<R>(query, chunkSize, options, { tried: attempt?.tried, hasLooked: true })
    }
    let session = this.#session.on(node)
    const wasBound = session !== undefined
    let hasFailed = false
    let hasRows = false
    let next: Attempt | undefined
    let isHandedOn = false
    this.#running++
    try {
      if (session === undefined) {
        if (route.spills && !(await this.#session.takeTurn(this.#cluster.set.spill))) {
          isHandedOn = true
          return yield* this.#stream<R>(query, chunkSize, options, { tried: attempt?.tried })
        }
        const moved = await this.#session.moveTo(node, this.#writes.inTransaction, options)
        isHandedOn = moved === undefined || !this.#holds(route)
        if (isHandedOn || moved === undefined) {
          if (moved !== undefined) await this.#session.letGo(false)
          return yield* this.#stream<R>(query, chunkSize, options, { tried: attempt?.tried })
        }
        session = moved
      }
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#outcome.willLeaveSomethingOn(session, route)
      for await (const rows of streamOn<R>(session, query, chunkSize, this.#boundOf(statement))) {
        hasRows = true
        yield rows
      }
      if (mark === 'or-primary' && !hasRows && this.#mayTryPrimary(route)) {
        next = { route: { node: this.#cluster.primary, reason: 'or-primary' }, tried: attempt?.tried }
      }
    } catch (error) {
      if (isHandedOn) throw error
      hasFailed = true
      const failed = { error, sql: query.sql, statement, mark, context, route, tried: attempt?.tried }
      const mayRunAnew = !hasRows && options?.signal?.aborted !== true
      next = await this.#recover(failed, session, wasBound, mayRunAnew)
      if (next === undefined) throw error
    } finally {
      // A stream that its reader left early may have written all the same.
      if (session !== undefined && !hasFailed) this.#outcome.streamed(statement, query.sql, session, context)
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
    if (next !== undefined) yield* this.#stream<R>(query, chunkSize, options, next)
  }

  /** Draws the conclusions from the error of a statement, and finds where it is tried once more. */
  async #recover(
    failed: Omit<FailedStatement, 'wasSent' | 'wasBound' | 'mayRunAnew'>,
    session: Session | undefined,
    wasBound: boolean,
    mayRunAnew: boolean,
  ): Promise<Attempt | undefined> {
    if (session === undefined) this.#session.leaveTurn()
    else this.#outcome.failed(failed.error, failed.statement, session, failed.context)
    const next = await nextAttempt(this.#cluster, {
      ...failed,
      wasSent: session !== undefined,
      wasBound,
      mayRunAnew: mayRunAnew && !this.#writes.inTransaction,
    })
    // A session that was lost must not serve the next attempt.
    if (next !== undefined && this.#session.isMistrusted) await this.#session.letGo(false)
    return next
  }

  collectSessionInfo(): Promise<void> {
    return this.#session.collectInfo()
  }

  async cancelQuery(_provider: ControlConnectionProvider): Promise<void> {
    const session = this.#session.current
    await session?.connection.cancelQuery?.(session.node.lendControlConnection)
  }

  async killSession(_provider: ControlConnectionProvider): Promise<void> {
    const session = this.#session.current
    await session?.connection.killSession?.(session.node.lendControlConnection)
  }

  begin(settings: TransactionSettings): Promise<void> {
    return this.#during(this.#transaction.begin(settings))
  }

  commit(): Promise<void> {
    return this.#during(this.#transaction.commit())
  }

  rollback(): Promise<void> {
    return this.#during(this.#transaction.rollback())
  }

  /** Sends a savepoint command, by Kysely's own driver, to the node of the transaction. */
  savepoint(
    send: (driver: NodeDriver['driver'], connection: DatabaseConnection) => Promise<void>,
  ): Promise<void> {
    return this.#during(this.#transaction.savepoint(send))
  }

  release(): Promise<void> {
    this.#isReleased = true
    return this.#session.letGo(this.#writes.inTransaction)
  }

  /** Whether it is as good as new: released, and with nothing left that may still take a session. */
  get isReusable(): boolean {
    return (
      this.#isReleased &&
      this.#running === 0 &&
      this.#session.current === undefined &&
      !this.#writes.inTransaction
    )
  }

  async #during(work: Promise<void>): Promise<void> {
    this.#running++
    try {
      await work
    } finally {
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
  }

  /**
   * A statement that nobody awaited may run on after its connection was released, and take a session then; it
   * is given back as soon as the statement, or the transaction that it began, is over.
   */
  async #releaseLate(): Promise<void> {
    if (!this.#writes.inTransaction) await this.#session.letGo(false)
  }

  /** How long a statement may take, in ms; undefined where that is not bounded. */
  #boundOf(statement: Statement): number | undefined {
    return statement.kind === 'read' && !this.#writes.inTransaction ? this.#readTimeoutMs : undefined
  }

  /** Whether a statement may run where its route says, after the wait for a connection. */
  #holds(route: Route): boolean {
    return this.#writes.inTransaction || this.#cluster.stillHolds(route)
  }

  #mayTryPrimary(route: Route): boolean {
    return route.node.role === 'replica' && route.reason !== 'use-node' && !this.#writes.inTransaction
  }

  #routeOf(
    statement: Statement,
    context: RoutingContext | undefined,
    mark: Mark | undefined,
    attempt: Attempt | undefined,
  ): Route {
    if (this.#writes.inTransaction) {
      return { node: this.#session.bound.node, reason: 'transaction', stays: true }
    }
    return routeFrom(this.#session.node, this.#cluster, statement, context, mark, attempt)
  }
}
