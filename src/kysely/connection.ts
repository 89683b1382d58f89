import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import type { Node } from '../replicas/node.ts'
import { mayHaveRun } from '../replicas/refusal.ts'
import { isRefusal } from '../replicas/server-error.ts'
import { currentContext, type RoutingContext } from '../routing/context.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster, Route } from './cluster.ts'
import { routeFrom, routeOfTransaction } from './connection-route.ts'
import { ConnectionSession } from './connection-session.ts'
import { type Mark, markOf } from './marks.ts'
import type { AbortOptions, ControlConnectionProvider, NodeDriver, Session } from './node-driver.ts'
import { withinReadTimeout } from './read-timeout.ts'
import { type Attempt, type FailedStatement, nextAttempt } from './recovery.ts'
import { streamOn } from './session-stream.ts'
import { unknownOutcome } from './unknown-outcome.ts'
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
  /** The begin, commit or the like that is being sent: it belongs to the node that the connection is on. */
  #command: CompiledQuery | undefined
  #isReleased = false
  /** How many statements are under way. */
  #running = 0
  /** Why nobody knows whether the transaction was committed, until it is rolled back. */
  #unknownOutcome: Error | undefined

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#writes = new WriteRecord(cluster.name)
  }

  /** Lends it out, anew or again. */
  open(): Promise<this> {
    this.#isReleased = false
    this.#unknownOutcome = undefined
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
    if (query === this.#command) return this.#session.bound.connection.executeQuery<R>(query)
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query.sql)
    const mark = markOf(query)
    const route = attempt?.route ?? this.#routeOf(statement, context, mark, attempt?.tried)
    const { node } = route
    let session = this.#session.on(node)
    const wasBound = session !== undefined
    let next: Attempt | undefined
    this.#running++
    try {
      if (session === undefined) {
        if (route.spills && !(await this.#session.takeTurn(this.#cluster.set.spill))) {
          return await this.#execute<R>(query, options, { tried: attempt?.tried })
        }
        session = await this.#acquire(node, options)
        if (!this.#cluster.stillHolds(route) && !this.#writes.inTransaction) {
          await this.#session.letGo(false)
          return await this.#execute<R>(query, options, { tried: attempt?.tried })
        }
      }
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#leavesSomethingOn(session, route)
      const { readTimeoutMs } = this.#cluster.set.settings
      const running = session.connection.executeQuery<R>(query)
      const isBounded =
        readTimeoutMs !== undefined && statement.kind === 'read' && !this.#writes.inTransaction
      const result = await (isBounded ? withinReadTimeout(running, readTimeoutMs, session) : running)
      if (tookEffect(statement, result) && session.node.role === 'primary') this.#writes.add(context)
      if (mark !== 'or-primary' || result.rows.length > 0 || !this.#mayTryPrimary(route)) return result
      next = { route: { node: this.#cluster.primary, reason: 'or-primary' }, tried: attempt?.tried }
    } catch (error) {
      const failed = { error, sql: query.sql, statement, mark, context, route, tried: attempt?.tried }
      next = await this.#recover(failed, session, wasBound, options?.signal?.aborted !== true)
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
    const route = attempt?.route ?? this.#routeOf(statement, context, mark, attempt?.tried)
    const { node } = route
    let session = this.#session.on(node)
    const wasBound = session !== undefined
    let hasFailed = false
    let hasRows = false
    let next: Attempt | undefined
    this.#running++
    try {
      if (session === undefined) {
        if (route.spills && !(await this.#session.takeTurn(this.#cluster.set.spill))) {
          return yield* this.#stream<R>(query, chunkSize, options, { tried: attempt?.tried })
        }
        const moved = await this.#session.moveTo(node, this.#writes.inTransaction, options)
        if (!this.#cluster.stillHolds(route) && !this.#writes.inTransaction) {
          await this.#session.letGo(false)
          return yield* this.#stream<R>(query, chunkSize, options, { tried: attempt?.tried })
        }
        session = moved
      }
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#leavesSomethingOn(session, route)
      const isRead = statement.kind === 'read' && !this.#writes.inTransaction
      const { readTimeoutMs } = this.#cluster.set.settings
      for await (const rows of streamOn<R>(session, query, chunkSize, isRead ? readTimeoutMs : undefined)) {
        hasRows = true
        yield rows
      }
      if (mark === 'or-primary' && !hasRows && this.#mayTryPrimary(route)) {
        next = { route: { node: this.#cluster.primary, reason: 'or-primary' }, tried: attempt?.tried }
      }
    } catch (error) {
      hasFailed = true
      const failed = { error, sql: query.sql, statement, mark, context, route, tried: attempt?.tried }
      const mayRunAnew = !hasRows && options?.signal?.aborted !== true
      next = await this.#recover(failed, session, wasBound, mayRunAnew)
      if (next === undefined) throw error
    } finally {
      // A stream that its reader left early may have written all the same.
      if (statement.countsAsWrite && !hasFailed && session?.node.role === 'primary') this.#writes.add(context)
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
    if (next !== undefined) yield* this.#stream<R>(query, chunkSize, options, next)
  }

  /** The first session, without a promise of its own where it can be; or one on another node. */
  async #acquire(node: NodeDriver, options: AbortOptions | undefined): Promise<Session> {
    const first = this.#session.beginFirst(node, options)
    if (first === undefined) return this.#session.moveTo(node, this.#writes.inTransaction, options)
    try {
      const connection = await first.connection
      return this.#session.take({ node, connection, client: first.client }, options)
    } catch (error) {
      if (this.#session.current !== undefined || !(await node.giveUp(first, error))) throw error
      return this.#session.moveTo(node, this.#writes.inTransaction, options)
    }
  }

  /** Draws the conclusions from the error of a statement, and finds where it is tried once more. */
  async #recover(
    failed: Omit<FailedStatement, 'wasSent' | 'wasBound' | 'mayRunAnew'>,
    session: Session | undefined,
    wasBound: boolean,
    mayRunAnew: boolean,
  ): Promise<Attempt | undefined> {
    if (session === undefined) this.#session.leaveTurn()
    else this.#failed(failed.error, failed.statement, session, failed.context)
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

  async begin(settings: TransactionSettings): Promise<void> {
    const context = currentContext()
    for (let tried: ReadonlySet<NodeDriver> | undefined; ; ) {
      const route = this.#writes.inTransaction
        ? { node: this.#session.bound.node }
        : routeOfTransaction(this.#session.node, this.#cluster, settings, context, tried)
      this.#running++
      try {
        if (await this.#beginOn(route, settings)) return
      } catch (error) {
        this.#writes.rollback()
        if (this.#session.current === undefined) this.#session.leaveTurn()
        // Nothing was done in it yet: another replica will do as well.
        const failure = this.#cluster.set.heard(route.node, error)
        const isOver = tried?.has(route.node) || route.node.role === 'primary' || route.stays === true
        if (isOver || failure === 'misrouted' || failure === 'other') throw error
        tried = new Set(tried).add(route.node)
        await this.#session.letGo(false)
      } finally {
        this.#running--
        if (this.#isReleased) await this.#releaseLate()
      }
    }
  }

  /** Begins there, and gives true; or false where it belongs elsewhere by now, after the wait for a connection. */
  async #beginOn(
    route: Pick<Route, 'node' | 'spills' | 'stays'>,
    settings: TransactionSettings,
  ): Promise<boolean> {
    const { node, spills } = route
    if (this.#session.on(node) === undefined) {
      // Where others may serve by now, it is the primary's turn all the same: it is the one that always may.
      if (spills) await this.#session.takeTurn(this.#cluster.set.spill)
      await this.#session.moveTo(node, this.#writes.inTransaction)
      if (!this.#cluster.stillHolds(route) && !this.#writes.inTransaction) {
        await this.#session.letGo(false)
        return false
      }
    }
    // From here on, not from the answer on: a session that is let go meanwhile must not go back to the pool.
    this.#writes.begin()
    await this.#sendCommand((connection) => node.driver.beginTransaction(connection, settings))
    return true
  }

  async commit(): Promise<void> {
    const { node } = this.#session.bound
    try {
      await this.#sendCommand((connection) => node.driver.commitTransaction(connection))
      this.#writes.commit()
    } catch (error) {
      if (isRolledBackCommit(error)) this.#writes.rollback()
      // Unless the server refused, the transaction may be committed.
      else if (!isRefusal(error)) {
        this.#writes.commit()
        this.#cluster.set.heard(node, error)
        this.#unknownOutcome = unknownOutcome(node.name, error)
        throw this.#unknownOutcome
      }
      throw error
    } finally {
      if (this.#isReleased) await this.#releaseLate()
    }
  }

  async rollback(): Promise<void> {
    try {
      // Kysely rolls back what failed to commit; what it is told then is what its caller hears.
      if (this.#unknownOutcome !== undefined) throw this.#unknownOutcome
      await this.#sendCommand((connection) => connection.executeQuery(CompiledQuery.raw('rollback')))
    } catch (error) {
      // Nobody knows what state the session is in: it must not go back to the pool.
      this.#session.mistrust(error)
      throw error
    } finally {
      this.#unknownOutcome = undefined
      this.#writes.rollback()
      if (this.#isReleased) await this.#releaseLate()
    }
  }

  /** Sends a savepoint command, by Kysely's own driver, to the node of the transaction. */
  async savepoint(
    send: (driver: NodeDriver['driver'], connection: DatabaseConnection) => Promise<void>,
  ): Promise<void> {
    const { node } = this.#session.bound
    await this.#sendCommand((connection) => send(node.driver, connection))
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

  /**
   * A statement that nobody awaited may run on after its connection was released, and take a session then; it
   * is given back as soon as the statement, or the transaction that it began, is over.
   */
  async #releaseLate(): Promise<void> {
    if (!this.#writes.inTransaction) await this.#session.letGo(false)
  }

  /** What `useNode()` had a replica's session keep (a lock, a setting, a `begin`) must not meet its next borrower. */
  #leavesSomethingOn(session: Session, route: Route): void {
    if (session.node.role === 'replica' && route.reason === 'use-node') this.#session.mistrust(undefined)
  }

  /** Draws the conclusions from the error of a statement that was sent. */
  #failed(error: unknown, statement: Statement, session: Session, context: RoutingContext | undefined): void {
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

  #mayTryPrimary(route: Route): boolean {
    return route.node.role === 'replica' && route.reason !== 'use-node' && !this.#writes.inTransaction
  }

  #routeOf(
    statement: Statement,
    context: RoutingContext | undefined,
    mark: Mark | undefined,
    tried: ReadonlySet<Node> | undefined,
  ): Route {
    if (this.#writes.inTransaction) {
      return { node: this.#session.bound.node, reason: 'transaction', stays: true }
    }
    return routeFrom(this.#session.node, this.#cluster, statement, context, mark, tried)
  }

  /** Sends begin, commit or the like: through `this.executeQuery`, which Kysely may have replaced by one that logs. */
  async #sendCommand(send: (connection: DatabaseConnection) => Promise<unknown>): Promise<void> {
    const executeQuery = (query: CompiledQuery) => {
      this.#command = query
      return this.executeQuery(query)
    }
    try {
      await send({ executeQuery } as DatabaseConnection)
    } catch (error) {
      if (!isRefusal(error) && !isRolledBackCommit(error)) this.#session.mistrust(error)
      throw error
    }
  }
}

/** Whether a statement that the server accepted changed anything; an `execute` tells only by what it gives. */
function tookEffect(statement: Statement, result: QueryResult<unknown>): boolean {
  if (statement.countsAsWrite) return !(statement.isRowless && result.numAffectedRows === 0n)
  return statement.kind === 'session' && (result.numAffectedRows ?? 0n) > 0n
}

// Kysely 0.29 says by this error that PostgreSQL answered COMMIT with ROLLBACK; 0.28 does not notice.
const ABORTED_TRANSACTION = Symbol.for('kysely.AbortedTransactionError')

function isRolledBackCommit(error: unknown): boolean {
  return typeof error === 'object' && error !== null && ABORTED_TRANSACTION in error
}
