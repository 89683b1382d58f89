import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import { mayHaveRun, refusalOf } from '../replicas/refusal.ts'
import { isRefusal } from '../replicas/server-error.ts'
import { currentContext, type RoutingContext } from '../routing/context.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster, Route } from './cluster.ts'
import { nodeOfTransaction, routeFrom } from './connection-route.ts'
import { ConnectionSession } from './connection-session.ts'
import { type Mark, markOf } from './marks.ts'
import type {
  AbortOptions,
  Acquisition,
  ControlConnectionProvider,
  NodeDriver,
  Session,
} from './node-driver.ts'
import { streamOn } from './session-stream.ts'
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

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#writes = new WriteRecord(cluster.name)
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

  /** Runs a statement where it belongs, or on the `second` route, which it is given once. */
  async #execute<R>(query: CompiledQuery, options?: AbortOptions, second?: Route): Promise<QueryResult<R>> {
    if (query === this.#command) return this.#session.bound.connection.executeQuery<R>(query)
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query.sql)
    const mark = markOf(query)
    const route = second ?? this.#routeOf(statement, context, mark)
    const { node } = route
    let session = this.#session.on(node)
    let first: Acquisition | undefined
    this.#running++
    try {
      if (session === undefined) {
        first = this.#session.beginFirst(node, options)
        session =
          first === undefined
            ? await this.#session.moveTo(node, this.#writes.inTransaction, options)
            : this.#session.take({ node, connection: await first.connection, client: first.client }, options)
      }
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#leavesSomethingOn(session, route)
      const result = await session.connection.executeQuery<R>(query)
      if (tookEffect(statement, result) && session.node.role === 'primary') this.#writes.add(context)
      if (mark !== 'or-primary' || result.rows.length > 0 || !this.#mayTryPrimary(route)) return result
    } catch (error) {
      if (session === undefined) {
        if (this.#session.current !== undefined || first === undefined || !node.giveUp(first, error))
          throw error
        return await this.#execute<R>(query, options, route)
      }
      this.#failed(error, statement, session, context)
      if (!this.#wasMisrouted(error, query, route)) throw error
      return await this.#execute<R>(query, options, { node: this.#cluster.primary, reason: 'refused' })
    } finally {
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
    return await this.#execute<R>(query, options, { node: this.#cluster.primary, reason: 'or-primary' })
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
    second?: Route,
  ): AsyncGenerator<QueryResult<R>, void, undefined> {
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query.sql)
    const mark = markOf(query)
    const route = second ?? this.#routeOf(statement, context, mark)
    let session: Session | undefined
    let hasFailed = false
    let hasRows = false
    let again: Route | undefined
    this.#running++
    try {
      session = this.#session.on(route.node)
      session ??= await this.#session.moveTo(route.node, this.#writes.inTransaction, options)
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#leavesSomethingOn(session, route)
      for await (const rows of streamOn<R>(session, query, chunkSize)) {
        hasRows = true
        yield rows
      }
      if (mark === 'or-primary' && !hasRows && this.#mayTryPrimary(route)) {
        again = { node: this.#cluster.primary, reason: 'or-primary' }
      }
    } catch (error) {
      hasFailed = true
      if (session === undefined) throw error
      this.#failed(error, statement, session, context)
      if (!this.#wasMisrouted(error, query, route) || hasRows) throw error
      again = { node: this.#cluster.primary, reason: 'refused' }
    } finally {
      // A stream that its reader left early may have written all the same.
      if (statement.countsAsWrite && !hasFailed && session?.node.role === 'primary') this.#writes.add(context)
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
    if (again !== undefined) yield* this.#stream<R>(query, chunkSize, options, again)
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
    const node = this.#writes.inTransaction
      ? this.#session.bound.node
      : nodeOfTransaction(this.#session.node, this.#cluster, settings, currentContext())
    this.#running++
    try {
      if (this.#session.on(node) === undefined) await this.#session.moveTo(node, this.#writes.inTransaction)
      // From here on, not from the answer on: a session that is let go meanwhile must not go back to the pool.
      this.#writes.begin()
      await this.#sendCommand((connection) => node.driver.beginTransaction(connection, settings))
    } catch (error) {
      this.#writes.rollback()
      throw error
    } finally {
      this.#running--
      if (this.#isReleased) await this.#releaseLate()
    }
  }

  async commit(): Promise<void> {
    const { node } = this.#session.bound
    try {
      await this.#sendCommand((connection) => node.driver.commitTransaction(connection))
      this.#writes.commit()
    } catch (error) {
      if (isRolledBackCommit(error)) this.#writes.rollback()
      // Unless the server refused, the transaction may be committed.
      else if (!isRefusal(error)) this.#writes.commit()
      throw error
    } finally {
      if (this.#isReleased) await this.#releaseLate()
    }
  }

  async rollback(): Promise<void> {
    try {
      await this.#sendCommand((connection) => connection.executeQuery(CompiledQuery.raw('rollback')))
    } catch (error) {
      // Nobody knows what state the session is in: it must not go back to the pool.
      this.#session.mistrust(error)
      throw error
    } finally {
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

  /**
   * Whether a replica refused what the primary will take. It had no effect, so it may be run once more; and if it was a
   * write, its text is known from now on.
   */
  #wasMisrouted(error: unknown, query: CompiledQuery, route: Route): boolean {
    if (!this.#mayTryPrimary(route)) return false
    const refusal = refusalOf(error)
    if (refusal === undefined) return false
    if (refusal === 'read-only') this.#cluster.classifier.learnRefused(query.sql)
    return true
  }

  #mayTryPrimary(route: Route): boolean {
    return route.node.role === 'replica' && route.reason !== 'use-node' && !this.#writes.inTransaction
  }

  #routeOf(statement: Statement, context: RoutingContext | undefined, mark: Mark | undefined): Route {
    if (this.#writes.inTransaction) return { node: this.#session.bound.node, reason: 'transaction' }
    return routeFrom(this.#session.node, this.#cluster, statement, context, mark)
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
