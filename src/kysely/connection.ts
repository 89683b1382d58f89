import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import { mayHaveRun, refusalOf } from '../replicas/refusal.ts'
import { isRefusal } from '../replicas/server-error.ts'
import { currentContext, type RoutingContext } from '../routing/context.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster, Route } from './cluster.ts'
import { type Mark, markOf } from './marks.ts'
import type { AbortOptions, ControlConnectionProvider, NodeDriver, Session } from './node-driver.ts'
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
  #session: Session | undefined
  /** The begin, commit or the like that is being sent: it belongs to the node that the connection is on. */
  #command: CompiledQuery | undefined
  #wantsSessionInfo = false
  #mustDiscard: { readonly because: unknown } | undefined
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
    this.#wantsSessionInfo = false
    return this.#opened
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortOptions): Promise<QueryResult<R>> {
    return this.#execute<R>(query, options)
  }

  /** Runs a statement where it belongs, or on the `second` route, which it is given once. */
  async #execute<R>(query: CompiledQuery, options?: AbortOptions, second?: Route): Promise<QueryResult<R>> {
    if (query === this.#command) return this.#bound().connection.executeQuery<R>(query)
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query.sql)
    const mark = markOf(query)
    const route = second ?? this.#routeOf(statement, context, mark)
    let session = this.#sessionOn(route.node)
    this.#running++
    try {
      if (session === undefined) {
        if (this.#session !== undefined || this.#wantsSessionInfo) {
          session = await this.#moveTo(route.node, options)
        } else {
          // As #moveTo() does it, without its promises: nearly every query is the first on its connection.
          const acquisition = route.node.beginAcquire(options)
          try {
            const connection = await acquisition.connection
            this.#session = { node: route.node, connection, client: acquisition.client }
          } catch (error) {
            if (!route.node.giveUp(acquisition, error)) throw error
            this.#session = await route.node.acquire(options)
          }
          options?.signal?.throwIfAborted()
          session = this.#session
        }
      }
      this.#cluster.publish(route, statement, query.sql)
      if (statement.kind === 'session') this.#leavesSomethingOn(session, route)
      const result = await session.connection.executeQuery<R>(query)
      if (tookEffect(statement, result) && session.node.role === 'primary') this.#writes.add(context)
      if (mark !== 'or-primary' || result.rows.length > 0 || !this.#mayTryPrimary(route)) return result
    } catch (error) {
      if (session === undefined) throw error
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
      session = this.#sessionOn(route.node) ?? (await this.#moveTo(route.node, options))
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

  async collectSessionInfo(): Promise<void> {
    this.#wantsSessionInfo = true
    await this.#session?.connection.collectSessionInfo?.()
  }

  async cancelQuery(_provider: ControlConnectionProvider): Promise<void> {
    const session = this.#session
    await session?.connection.cancelQuery?.(session.node.lendControlConnection)
  }

  async killSession(_provider: ControlConnectionProvider): Promise<void> {
    const session = this.#session
    await session?.connection.killSession?.(session.node.lendControlConnection)
  }

  async begin(settings: TransactionSettings): Promise<void> {
    const node = this.#nodeOfTransaction(settings, currentContext())
    this.#running++
    try {
      if (this.#sessionOn(node) === undefined) await this.#moveTo(node)
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
    const { node } = this.#bound()
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
      this.#mustDiscard ??= { because: error }
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
    const { node } = this.#bound()
    await this.#sendCommand((connection) => send(node.driver, connection))
  }

  release(): Promise<void> {
    this.#isReleased = true
    return this.#letGo()
  }

  /** Whether it is as good as new: released, and with nothing left that may still take a session. */
  get isReusable(): boolean {
    return (
      this.#isReleased && this.#running === 0 && this.#session === undefined && !this.#writes.inTransaction
    )
  }

  /**
   * A statement that nobody awaited may run on after its connection was released, and take a session then; it
   * is given back as soon as the statement, or the transaction that it began, is over.
   */
  async #releaseLate(): Promise<void> {
    if (!this.#writes.inTransaction) await this.#letGo()
  }

  #letGo(): Promise<void> {
    const session = this.#session
    if (session === undefined) return NOTHING_TO_DO
    const mustDiscard = this.#mustDiscard
    this.#session = undefined
    this.#mustDiscard = undefined
    if (mustDiscard === undefined && !this.#writes.inTransaction) return session.node.release(session)
    return session.node.discard(session, mustDiscard?.because)
  }

  /** What `useNode()` had a replica's session keep (a lock, a setting, a `begin`) must not meet its next borrower. */
  #leavesSomethingOn(session: Session, route: Route): void {
    if (session.node.role === 'replica' && route.reason === 'use-node')
      this.#mustDiscard ??= { because: undefined }
  }

  /** Draws the conclusions from the error of a statement that was sent. */
  #failed(error: unknown, statement: Statement, session: Session, context: RoutingContext | undefined): void {
    const wasRefused = isRefusal(error)
    // A lost connection, a time-out on this side: the session may still be busy, or gone.
    if (!wasRefused) this.#mustDiscard = { because: error }
    // A function may have taken a lock of the session's before it was refused: no other query must find it.
    else if (session.node.role === 'replica' && statement.hasCalls && mayHaveRun(error)) {
      this.#mustDiscard ??= { because: undefined }
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

  /** The route of a statement, given the node that the connection is on. */
  #routeOf(statement: Statement, context: RoutingContext | undefined, mark: Mark | undefined): Route {
    if (this.#writes.inTransaction) return { node: this.#bound().node, reason: 'transaction' }
    const node = this.#session?.node
    if (node === undefined || mark === 'to-primary') return this.#cluster.routeOf(statement, context, mark)
    if (mark === 'to-replica') {
      const { reason } = this.#cluster.routeOf(statement, context, mark)
      if (reason === 'mark') return { node, reason }
    }
    if (statement.kind !== 'read') {
      const route = this.#cluster.routeOf(statement, context)
      // Nor does a `useNode()` that was entered later take it away from what it left there.
      return node === this.#cluster.primary && route.node !== node
        ? { node, reason: 'same-connection' }
        : route
    }
    const requirement = this.#cluster.requirementOf(context)
    if (
      node === this.#cluster.primary &&
      requirement.kind !== 'primary' &&
      this.#cluster.replicas.length > 0
    ) {
      // What an earlier statement left in the session (a setting, a temporary table) is on the primary.
      return { node, reason: 'same-connection' }
    }
    if (!this.#cluster.meets(node, requirement)) return this.#cluster.routeOfRead(requirement)
    return { node, reason: requirement.reason }
  }

  #nodeOfTransaction(settings: TransactionSettings, context: RoutingContext | undefined): NodeDriver {
    if (this.#writes.inTransaction) return this.#bound().node
    // PostgreSQL refuses a serializable transaction on a hot standby, a read-only one too.
    const isRead = settings.accessMode === 'read only' && settings.isolationLevel !== 'serializable'
    if (!isRead) {
      this.#cluster.refuseOnReplica('transaction', context)
      return this.#cluster.primary
    }
    const node = this.#session?.node
    const requirement = this.#cluster.requirementOf(context)
    const stays =
      node !== undefined && (node === this.#cluster.primary || this.#cluster.meets(node, requirement))
    return stays ? node : this.#cluster.routeOfRead(requirement).node
  }

  #sessionOn(node: NodeDriver): Session | undefined {
    return this.#session?.node === node ? this.#session : undefined
  }

  async #moveTo(node: NodeDriver, options?: AbortOptions): Promise<Session> {
    await this.#letGo()
    const session = await node.acquire(options)
    this.#session = session
    if (this.#wantsSessionInfo) await session.connection.collectSessionInfo?.()
    // The query may have been given up on while it waited for a connection.
    options?.signal?.throwIfAborted()
    return session
  }

  #bound(): Session {
    if (this.#session !== undefined) return this.#session
    throw new Error(
      'This connection is on no node: no transaction was begun on it, or it was released meanwhile.',
    )
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
      if (!isRefusal(error) && !isRolledBackCommit(error)) this.#mustDiscard = { because: error }
      throw error
    }
  }
}

const NOTHING_TO_DO = Promise.resolve()

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
