import type { CompiledQuery, DatabaseConnection, QueryResult, TransactionSettings } from 'kysely'
import type { Cluster } from '../routing/cluster.ts'
import { ConnectionSession } from '../routing/connection-session.ts'
import { ConnectionTransaction } from '../routing/connection-transaction.ts'
import type { AbortOptions, ControlConnectionProvider, NodeDriver } from '../routing/node-driver.ts'
import { QueryWork } from '../routing/query-work.ts'
import { type Attempt, IS_PRIMARY } from '../routing/route.ts'
import { runWork } from '../routing/run-work.ts'
import { StatementOutcome } from '../routing/statement-outcome.ts'
import type { StatementPlace } from '../routing/statement-work.ts'
import { StreamWork } from '../routing/stream-work.ts'
import { WriteRecord } from '../routing/write-record.ts'

/**
 * The connection that Kysely sees. It binds to a node at its first statement, moves to the primary at the first
 * one that needs it, and runs everything through Kysely's own connection to that node.
 */
export class RoutedConnection implements Required<DatabaseConnection> {
  /** This connection, as a promise that is made once. */
  readonly #opened: Promise<this> = Promise.resolve(this)
  readonly #writes: WriteRecord
  readonly #session = new ConnectionSession()
  readonly #transaction: ConnectionTransaction
  /** What its statements and transactions run in. */
  readonly #place: StatementPlace
  #isReleased = false
  /** How much is under way. */
  #running = 0

  constructor(cluster: Cluster) {
    const session = this.#session
    const writes = new WriteRecord(cluster.name, cluster.watch, (definition) =>
      cluster.catalog.sawDefinition(definition),
    )
    const outcome = new StatementOutcome(cluster, session, writes)
    this.#writes = writes
    this.#place = { cluster, session, writes, outcome, enter: this.#enter, leave: this.#leave }
    // Kysely may have replaced it by one that logs.
    this.#transaction = new ConnectionTransaction(this.#place, (query) => this.executeQuery(query))
  }

  /** Lends it out, anew or again. */
  open(): Promise<this> {
    this.#isReleased = false
    this.#session.reset()
    return this.#opened
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortOptions): Promise<QueryResult<R>> {
    if (query === this.#transaction.command) return this.#session.bound.connection.executeQuery<R>(query)
    const work = new QueryWork<R>(this.#place, query, options)
    return work.mark === 'or-primary' ? this.#executeOrOnPrimary(work) : runWork(this.#place, work)
  }

  async #executeOrOnPrimary<R>(work: QueryWork<R>): Promise<QueryResult<R>> {
    const result = await runWork(this.#place, work)
    if (result.rows.length > 0 || !work.mayAskPrimary) return result
    return await runWork(this.#place, work, this.#onPrimary)
  }

  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize = 100,
    options?: AbortOptions,
  ): AsyncGenerator<QueryResult<R>, void, undefined> {
    this.#place.enter()
    try {
      const work = new StreamWork<R>(this.#place, query, options, chunkSize)
      const stream = await runWork(this.#place, work)
      yield* work.rowsOf(stream)
      if (stream.isEmpty && work.mayAskPrimary) {
        yield* work.rowsOf(await runWork(this.#place, work, this.#onPrimary))
      }
    } finally {
      await this.#place.leave()
    }
  }

  /** The attempt at a statement of which a replica gave no row. */
  get #onPrimary(): Attempt {
    return {
      route: { node: this.#place.cluster.primary, reason: 'or-primary', claim: IS_PRIMARY },
      tried: undefined,
    }
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
    return this.#transaction.begin(settings)
  }

  commit(): Promise<void> {
    return this.#during(this.#transaction.commit())
  }

  rollback(): Promise<void> {
    return this.#during(this.#transaction.rollback())
  }

  /** Sends a savepoint command, by Kysely's own driver, to the node of the transaction; `takesBack` where it rolls back to one. */
  savepoint(
    send: (driver: NodeDriver['driver'], connection: DatabaseConnection) => Promise<void>,
    takesBack = false,
  ): Promise<void> {
    return this.#during(this.#transaction.savepoint(send, takesBack))
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
    this.#enter()
    try {
      await work
    } finally {
      await this.#leave()
    }
  }

  readonly #enter = () => {
    this.#running++
  }

  /**
   * A statement that nobody awaited may run on after its connection was released, and take a session then; it
   * is given back as soon as the statement, or the transaction that it began, is over.
   */
  readonly #leave = () => {
    this.#running--
    return this.#isReleased && !this.#writes.inTransaction ? this.#session.letGo(false) : undefined
  }
}
