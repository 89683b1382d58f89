import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import { isRefusal } from '../replicas/server-error.ts'
import { currentContext, type RoutingContext } from '../routing/context.ts'
import type { Cluster, Route } from './cluster.ts'
import type { ControlConnectionProvider, NodeDriver, Session } from './node-driver.ts'
import { type Statement, tookEffect } from './statement.ts'
import { WriteRecord } from './write-record.ts'

/** Kysely 0.29's options of an operation that can be aborted; 0.28 gives none. */
export interface AbortOptions {
  readonly signal?: AbortSignal
}

/**
 * The connection that Kysely sees. It binds to a node at its first statement, moves to the primary at the first
 * one that needs it, and runs everything through Kysely's own connection to that node.
 */
export class RoutedConnection implements Required<DatabaseConnection> {
  readonly #cluster: Cluster
  readonly #writes: WriteRecord
  #session: Session | undefined
  /** Whether begin, commit and the like are being sent: they belong to the node that the connection is on. */
  #inCommand = false
  #wantsSessionInfo = false
  #mustDiscard = false

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#writes = new WriteRecord(cluster.name)
  }

  async executeQuery<R>(query: CompiledQuery, options?: AbortOptions): Promise<QueryResult<R>> {
    if (this.#inCommand) return this.#bound().connection.executeQuery<R>(query)
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query)
    const route = this.#routeOf(statement, context)
    const session = this.#sessionOn(route.node) ?? (await this.#moveTo(route.node))
    // The query may have been given up on while it waited for a connection.
    options?.signal?.throwIfAborted()
    this.#cluster.publish(route, statement, query.sql)
    if (!statement.countsAsWrite) return session.connection.executeQuery<R>(query)
    return this.#executeWrite<R>(session, statement, context, query)
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize = 100): AsyncIterableIterator<QueryResult<R>> {
    const context = currentContext()
    const statement = this.#cluster.classifier.classify(query)
    const route = this.#routeOf(statement, context)
    const session = this.#sessionOn(route.node) ?? (await this.#moveTo(route.node))
    this.#cluster.publish(route, statement, query.sql)
    let refused = false
    try {
      yield* session.connection.streamQuery<R>(query, chunkSize)
    } catch (error) {
      refused = statement.isAllOrNothing && isRefusal(error)
      throw error
    } finally {
      // A stream that its reader left early may have written all the same.
      if (statement.countsAsWrite && !refused) this.#writes.add(context)
    }
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
    if (this.#sessionOn(node) === undefined) await this.#moveTo(node)
    await this.#command(() => node.driver.beginTransaction(this, settings))
    this.#writes.begin()
  }

  async commit(): Promise<void> {
    const { node } = this.#bound()
    try {
      await this.#command(() => node.driver.commitTransaction(this))
    } catch (error) {
      if (isRolledBackCommit(error)) this.#writes.rollback()
      // Unless the server refused, the transaction may be committed.
      else if (!isRefusal(error)) this.#writes.commit()
      throw error
    }
    this.#writes.commit()
  }

  async rollback(): Promise<void> {
    try {
      await this.#command(() => this.executeQuery(CompiledQuery.raw('rollback')))
    } catch (error) {
      // Nobody knows what state the session is in: it must not go back to the pool.
      this.#mustDiscard = true
      throw error
    } finally {
      this.#writes.rollback()
    }
  }

  /** Sends a savepoint command, by Kysely's own driver, to the node of the transaction. */
  async savepoint(send: (driver: NodeDriver['driver']) => Promise<void>): Promise<void> {
    const { node } = this.#bound()
    await this.#command(() => send(node.driver))
  }

  async release(): Promise<void> {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    if (this.#mustDiscard || this.#writes.inTransaction) await session.node.discard(session)
    else await session.node.release(session)
  }

  async #executeWrite<R>(
    session: Session,
    statement: Statement,
    context: RoutingContext | undefined,
    query: CompiledQuery,
  ): Promise<QueryResult<R>> {
    try {
      const result = await session.connection.executeQuery<R>(query)
      if (tookEffect(statement, result)) this.#writes.add(context)
      return result
    } catch (error) {
      // A write whose outcome is unknown counts.
      if (!statement.isAllOrNothing || !isRefusal(error)) this.#writes.add(context)
      throw error
    }
  }

  /** The route of a statement, given the node that the connection is on. */
  #routeOf(statement: Statement, context: RoutingContext | undefined): Route {
    const node = this.#session?.node
    if (node === undefined) return this.#cluster.routeOf(statement, context)
    if (this.#writes.inTransaction) return { node, reason: 'transaction' }
    if (statement.kind !== 'read') return this.#cluster.routeOf(statement, context)
    const requirement = this.#cluster.requirementOf(context)
    if (this.#cluster.meets(node, requirement)) return { node, reason: requirement.reason }
    // What an earlier statement left in the session (a setting, a temporary table) is on the primary.
    if (node === this.#cluster.primary) return { node, reason: 'same-connection' }
    return this.#cluster.routeOfRead(requirement)
  }

  #nodeOfTransaction(settings: TransactionSettings, context: RoutingContext | undefined): NodeDriver {
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

  async #moveTo(node: NodeDriver): Promise<Session> {
    await this.release()
    const session = await node.acquire()
    this.#session = session
    if (this.#wantsSessionInfo) await session.connection.collectSessionInfo?.()
    return session
  }

  #bound(): Session {
    if (this.#session === undefined)
      throw new Error('This connection is on no node: nothing was begun on it.')
    return this.#session
  }

  async #command(send: () => Promise<unknown>): Promise<void> {
    this.#inCommand = true
    try {
      await send()
    } finally {
      this.#inCommand = false
    }
  }
}

// Kysely 0.29 says by this error that PostgreSQL answered COMMIT with ROLLBACK; 0.28 does not notice.
const ABORTED_TRANSACTION = Symbol.for('kysely.AbortedTransactionError')

function isRolledBackCommit(error: unknown): boolean {
  return typeof error === 'object' && error !== null && ABORTED_TRANSACTION in error
}
