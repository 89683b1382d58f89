import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import { isRefusal } from '../replicas/server-error.ts'
import { currentContext } from '../routing/context.ts'
import type { Cluster } from './cluster.ts'
import { routeOfTransaction } from './connection-route.ts'
import type { ConnectionSession } from './connection-session.ts'
import { isOfNode, type NodeDriver } from './node-driver.ts'
import type { Attempt, Route } from './route.ts'
import { unknownOutcome } from './unknown-outcome.ts'
import type { WriteRecord } from './write-record.ts'

/** The transactions of one connection, one after the other: each begins on a node, and ends there. */
export class ConnectionTransaction {
  readonly #cluster: Cluster
  readonly #session: ConnectionSession
  readonly #writes: WriteRecord
  readonly #execute: (query: CompiledQuery) => Promise<QueryResult<unknown>>
  #command: CompiledQuery | undefined
  /** Why nobody knows whether the transaction was committed, until it is rolled back. */
  #unknownOutcome: Error | undefined

  constructor(parts: {
    readonly cluster: Cluster
    readonly session: ConnectionSession
    readonly writes: WriteRecord
    /** Runs a command as any other statement of the connection. */
    readonly execute: (query: CompiledQuery) => Promise<QueryResult<unknown>>
  }) {
    this.#cluster = parts.cluster
    this.#session = parts.session
    this.#writes = parts.writes
    this.#execute = parts.execute
  }

  /** The begin, commit or the like that is being sent: it belongs to the node that the connection is on. */
  get command(): CompiledQuery | undefined {
    return this.#command
  }

  async begin(settings: TransactionSettings): Promise<void> {
    const context = currentContext()
    this.#unknownOutcome = undefined
    for (let before: Attempt | undefined; ; ) {
      const route = this.#writes.inTransaction
        ? { node: this.#session.bound.node }
        : routeOfTransaction(this.#session.node, this.#cluster, settings, context, before)
      if (route.look !== undefined) {
        await route.look()
        before = { tried: before?.tried, hasLooked: true }
        continue
      }
      try {
        if (await this.#beginOn(route, settings)) return
      } catch (error) {
        this.#writes.rollback()
        if (!this.#mayBeginElsewhere(route, error, before?.tried)) throw error
        before = { tried: new Set(before?.tried).add(route.node) }
        await this.#session.letGo(false)
      }
    }
  }

  async commit(): Promise<void> {
    const { node, connection } = this.#session.bound
    try {
      await this.#send((sent) => node.driver.commitTransaction(sent))
      const { exact } = this.#cluster
      const isWanted = node.role === 'primary' && this.#writes.wantsPosition()
      this.#writes.commit(isWanted ? exact.positionOf(connection) : undefined)
      if (isWanted) await exact.learn(connection)
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
    }
  }

  async rollback(): Promise<void> {
    try {
      // Kysely rolls back what failed to commit; what it is told then is what its caller hears.
      if (this.#unknownOutcome !== undefined) throw this.#unknownOutcome
      await this.#send((connection) => connection.executeQuery(CompiledQuery.raw('rollback')))
    } catch (error) {
      // Nobody knows what state the session is in: it must not go back to the pool.
      this.#session.mistrust(error)
      throw error
    } finally {
      this.#unknownOutcome = undefined
      this.#writes.rollback()
    }
  }

  async savepoint(
    send: (driver: NodeDriver['driver'], connection: DatabaseConnection) => Promise<void>,
  ): Promise<void> {
    const { node } = this.#session.bound
    await this.#send((connection) => send(node.driver, connection))
  }

  /** Begins there, and gives true; or false where it belongs elsewhere by now, after the wait for a connection. */
  async #beginOn(
    route: Pick<Route, 'node' | 'spills' | 'stays'>,
    settings: TransactionSettings,
  ): Promise<boolean> {
    const { node, spills } = route
    if (this.#session.on(node) === undefined) {
      if (spills && !(await this.#session.takeTurn(this.#cluster.set.spill))) return false
      if ((await this.#session.moveTo(node, this.#writes.inTransaction)) === undefined) return false
      if (!this.#cluster.stillHolds(route) && !this.#writes.inTransaction) {
        await this.#session.letGo(false)
        return false
      }
    }
    // From here on, not from the answer on: a session that is let go meanwhile must not go back to the pool.
    this.#writes.begin()
    await this.#send((connection) => node.driver.beginTransaction(connection, settings))
    return true
  }

  /** Whether another replica will do as well: nothing was done yet, and it is this node's fault. */
  #mayBeginElsewhere(
    { node, stays }: Pick<Route, 'node' | 'stays'>,
    error: unknown,
    tried: Attempt['tried'],
  ): boolean {
    const wasSent = this.#session.current !== undefined
    if (!wasSent) this.#session.leaveTurn()
    const failure = this.#cluster.set.heard(node, error)
    if (tried?.has(node) || node.role === 'primary' || stays === true) return false
    return wasSent ? failure !== 'misrouted' && failure !== 'other' : isOfNode(error)
  }

  async #send(send: (connection: DatabaseConnection) => Promise<unknown>): Promise<void> {
    const executeQuery = (query: CompiledQuery) => {
      this.#command = query
      return this.#execute(query)
    }
    try {
      await send({ executeQuery } as DatabaseConnection)
    } catch (error) {
      if (!isRefusal(error) && !isRolledBackCommit(error)) this.#session.mistrust(error)
      throw error
    }
  }
}

// Kysely 0.29 says by this error that PostgreSQL answered COMMIT with ROLLBACK; 0.28 does not notice.
const ABORTED_TRANSACTION = Symbol.for('kysely.AbortedTransactionError')

function isRolledBackCommit(error: unknown): boolean {
  return typeof error === 'object' && error !== null && ABORTED_TRANSACTION in error
}
