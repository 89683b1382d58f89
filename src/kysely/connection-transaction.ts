import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import { isRefusal } from '../replicas/server-error.ts'
import { currentContext } from '../routing/context.ts'
import { routeOfTransaction } from './connection-route.ts'
import { isOfNode, type NodeDriver } from './node-driver.ts'
import { type Attempt, type Claim, IS_BOUND } from './route.ts'
import { type Failed, type Place, runWork } from './run-work.ts'
import { proveFresh } from './session-freshness.ts'
import { unknownOutcome } from './unknown-outcome.ts'

/** The transactions of one connection, one after the other: each begins on a node, and ends there. */
export class ConnectionTransaction {
  readonly #place: Place
  readonly #execute: (query: CompiledQuery) => Promise<QueryResult<unknown>>
  #command: CompiledQuery | undefined
  /** Why nobody knows whether the transaction was committed, until it is rolled back. */
  #unknownOutcome: Error | undefined

  /** `execute` runs a command as any other statement of the connection. */
  constructor(place: Place, execute: (query: CompiledQuery) => Promise<QueryResult<unknown>>) {
    this.#place = place
    this.#execute = execute
  }

  /** The begin, commit or the like that is being sent: it belongs to the node that the connection is on. */
  get command(): CompiledQuery | undefined {
    return this.#command
  }

  begin(settings: TransactionSettings): Promise<void> {
    const { cluster, session, writes } = this.#place
    const context = currentContext()
    this.#unknownOutcome = undefined
    return runWork<void>(this.#place, {
      options: undefined,
      routeAfter: (before) => {
        if (writes.inTransaction) return { node: session.bound.node, reason: 'transaction', claim: IS_BOUND }
        return routeOfTransaction(session.node, cluster, settings, context, before)
      },
      send: async (on, { node, claim }) => {
        if (claim.kind === 'fresh') await proveFresh(cluster, on, claim.position)
        // From here on, not from the answer on: a session that is let go meanwhile must not go back to the pool.
        writes.begin()
        await this.#send((connection) => node.driver.beginTransaction(connection, settings))
      },
      received: () => undefined,
      failed: (failure) => this.#beginElsewhere(failure),
    })
  }

  async commit(): Promise<void> {
    const { node, connection } = this.#place.session.bound
    try {
      await this.#send((sent) => node.driver.commitTransaction(sent))
      const { exact } = this.#place.cluster
      const isWanted = node.role === 'primary' && this.#place.writes.wantsPosition()
      this.#place.writes.commit(isWanted ? exact.positionOf(connection) : undefined)
      if (isWanted) await exact.learn(connection)
    } catch (error) {
      if (isRolledBackCommit(error)) this.#place.writes.rollback()
      // Unless the server refused, the transaction may be committed.
      else if (!isRefusal(error)) {
        this.#place.writes.commit()
        this.#place.cluster.set.heard(node, error)
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
      this.#place.session.mistrust(error)
      throw error
    } finally {
      this.#unknownOutcome = undefined
      this.#place.writes.rollback()
    }
  }

  async savepoint(
    send: (driver: NodeDriver['driver'], connection: DatabaseConnection) => Promise<void>,
  ): Promise<void> {
    const { node } = this.#place.session.bound
    await this.#send((connection) => send(node.driver, connection))
  }

  /** Where else it begins: another replica will do as well, where nothing was done yet, and it is this node's fault. */
  async #beginElsewhere({ error, route, session, tried }: Failed): Promise<Attempt | undefined> {
    const { cluster, session: own, writes } = this.#place
    const { node } = route
    writes.rollback()
    const wasSent = session !== undefined
    if (!wasSent) own.leaveTurn()
    const failure = cluster.set.heard(node, error)
    if (tried?.has(node) || node.role === 'primary' || !MOVABLE.has(route.claim.kind)) return undefined
    if (wasSent ? failure === 'misrouted' || failure === 'other' : !isOfNode(error)) return undefined
    await own.letGo(false)
    return { tried: new Set(tried).add(node) }
  }

  async #send(send: (connection: DatabaseConnection) => Promise<unknown>): Promise<void> {
    const executeQuery = (query: CompiledQuery) => {
      this.#command = query
      return this.#execute(query)
    }
    try {
      await send({ executeQuery } as DatabaseConnection)
    } catch (error) {
      if (!isRefusal(error) && !isRolledBackCommit(error)) this.#place.session.mistrust(error)
      throw error
    }
  }
}

// Kysely 0.29 says by this error that PostgreSQL answered COMMIT with ROLLBACK; 0.28 does not notice.
const ABORTED_TRANSACTION = Symbol.for('kysely.AbortedTransactionError')

function isRolledBackCommit(error: unknown): boolean {
  return typeof error === 'object' && error !== null && ABORTED_TRANSACTION in error
}

// Where nobody asked for that node in particular.
const MOVABLE: ReadonlySet<Claim['kind']> = new Set<Claim['kind']>(['fit', 'fresh'])
