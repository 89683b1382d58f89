import { CompiledQuery, type DatabaseConnection, type QueryResult, type TransactionSettings } from 'kysely'
import { currentContext } from '../freshness/context.ts'
import { isRefusal } from '../nodes/server-error.ts'
import { routeOfTransaction } from './connection-route.ts'
import { isOfNode, isOfPrimary, type NodeDriver } from './node-driver.ts'
import { type Attempt, IS_BOUND, IS_PRIMARY, isMovable, type Route } from './route.ts'
import { type Failed, type Place, runWork } from './run-work.ts'
import { proveFresh } from './session-freshness.ts'
import { unknownOutcome } from './unknown-outcome.ts'

/** The transactions of one connection, one after the other: each begins on a node, and ends there. */
export class ConnectionTransaction {
  readonly #place: Place
  readonly #execute: (query: CompiledQuery) => Promise<QueryResult<unknown>>
  #command: CompiledQuery | undefined
  /** With what its commit failed, until it is rolled back. */
  #lost: { readonly by: unknown } | undefined

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
    this.#lost = undefined
    const routeAfter = (before: Attempt | undefined): Route => {
      if (writes.inTransaction) return { node: session.bound.node, reason: 'transaction', claim: IS_BOUND }
      if (session.isOfOldPrimary) {
        return { node: session.bound.node, reason: 'same-connection', claim: IS_BOUND }
      }
      const look = cluster.lookFirst(context, settings.accessMode !== 'read only', before)
      if (look !== undefined) return { node: cluster.primary, reason: 'pin', claim: IS_PRIMARY, look }
      return routeOfTransaction(session.node, cluster, settings, context, before)
    }
    return runWork<void>(this.#place, {
      options: undefined,
      routeAfter,
      send: async (on, { node, claim }) => {
        if (claim.kind === 'fresh') await proveFresh(cluster, on, claim.position)
        // From here on, not from the answer on: a session that is let go meanwhile must not go back to the pool.
        writes.begin(settings.accessMode === 'read only')
        await this.#send((connection) => node.driver.beginTransaction(connection, settings))
        cluster.exact.sawTransaction(on.connection)
      },
      received: () => undefined,
      failed: (failure) => this.#beginElsewhere(failure, routeAfter),
    })
  }

  async commit(): Promise<void> {
    const session = this.#place.session.bound
    const { node, connection } = session
    const mayHaveWritten = isOfPrimary(session)
    const { exact } = this.#place.cluster
    try {
      await this.#send((sent) => node.driver.commitTransaction(sent))
      const position = exact.positionOfCommit(connection)
      const isWanted = mayHaveWritten && this.#place.writes.wantsPositionOfCommit
      this.#place.writes.commit(isWanted ? position : undefined)
    } catch (error) {
      const { writes } = this.#place
      if (isRolledBackCommit(error)) writes.rollback()
      // The server has ended it all the same.
      else if (isRefusal(error)) writes.follow('rolls-back')
      // It may be committed.
      else {
        const isHarmless = !mayHaveWritten || writes.isHarmless
        this.#lost = { by: isHarmless ? error : unknownOutcome(node.name, error) }
        writes.commit()
        this.#place.cluster.set.heard(node, error)
        throw this.#lost.by
      }
      throw error
    }
  }

  async rollback(): Promise<void> {
    try {
      // Kysely rolls back what failed to commit; what it is told then is what its caller hears.
      if (this.#lost !== undefined) throw this.#lost.by
      await this.#send((connection) => connection.executeQuery(CompiledQuery.raw('rollback')))
      const { current } = this.#place.session
      if (current !== undefined) this.#place.cluster.exact.sawTransaction(current.connection)
    } catch (error) {
      // Nobody knows what state the session is in: it must not go back to the pool.
      this.#place.session.mistrust(error)
      throw error
    } finally {
      this.#lost = undefined
      this.#place.writes.rollback()
    }
  }

  async savepoint(
    send: (driver: NodeDriver['driver'], connection: DatabaseConnection) => Promise<void>,
    takesBack: boolean,
  ): Promise<void> {
    const { node, connection } = this.#place.session.bound
    await this.#send((sent) => send(node.driver, sent))
    if (takesBack) this.#place.cluster.exact.sawRollbackTo(connection)
  }

  /**
   * Where else it begins, as nothing was done yet: another replica will do as well where it is this one's fault; and on the primary a
   * new connection, where the one that it got was dead, or the node that is the primary by now. Where it is on the primary only because
   * no replica is fit, a late one will do.
   */
  async #beginElsewhere(
    { error, route, session, wasBound, before }: Failed,
    routeAfter: (before: Attempt) => Route,
  ): Promise<Attempt | undefined> {
    const { cluster, session: own, writes } = this.#place
    const { node, claim, seen } = route
    writes.rollback()
    const wasSent = session !== undefined
    if (!wasSent) own.leaveTurn()
    const failure = cluster.set.heard(node, error)
    const tried = before?.tried
    if (wasSent ? failure === 'misrouted' || failure === 'other' : !isOfNode(error)) return undefined
    const mayLeavePrimary = claim.kind === 'primary' && !wasBound && failure !== 'overload'
    const isLost = !wasSent && failure === 'lost'
    const wouldHelp = wasSent || (isLost && seen !== undefined) || cluster.primary !== node
    const next = { ...before, route: undefined, tried: new Set(tried).add(node) }
    if (!tried?.has(node) && (isMovable(claim) || (mayLeavePrimary && wouldHelp))) {
      await own.letGo(false)
      return { ...next, isPrimaryLost: isLost && node === cluster.primary }
    }
    const isNoHelp = failure === 'lost' || failure === 'never-sent' || failure === 'overload'
    if (route.spills !== true || wasBound || !isNoHelp) return undefined
    await own.letGo(false)
    const spilled = { ...next, isPrimaryLost: true }
    const other = routeAfter(spilled)
    return other.look === undefined && next.tried.has(other.node) ? undefined : { ...spilled, route: other }
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
