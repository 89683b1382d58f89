import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import type { Node } from '../nodes/node.ts'
import { beginLending, release, type Session, sessionOf } from '../nodes/session.ts'
import type { Cluster } from '../routing/cluster.ts'
import { RoutedConnection } from '../routing/connection.ts'
import type { Mark, Query } from '../routing/query.ts'
import { markOf } from './marks.ts'
import type { ControlConnectionProvider, NodeConnections } from './node-connections.ts'
import { SessionStream } from './session-stream.ts'

/** Kysely 0.29's options of an operation that can be aborted. 0.28 gives none. */
export interface AbortOptions {
  readonly signal?: AbortSignal
}

/** The connection that Kysely sees. Its statements find their node, and run there through Kysely's own connection. */
export class PrimaryReplicaConnection extends RoutedConnection implements Required<DatabaseConnection> {
  readonly connections: NodeConnections
  /** This connection as a promise, which is made once. */
  readonly opened: Promise<this> = Promise.resolve(this)
  /** Whether Kysely wants the process id, to cancel or kill what runs. */
  wantsInfo = false

  constructor(cluster: Cluster, connections: NodeConnections) {
    super(cluster)
    this.connections = connections
  }

  /** Kysely ends a transaction that it has begun, even if its caller has not awaited that. */
  protected override get keepsTransactions(): boolean {
    return true
  }

  override open(): void {
    super.open()
    this.wantsInfo = false
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortOptions): Promise<QueryResult<R>> {
    return this.run(new CompiledStatement<R>(this, query, options?.signal))
  }

  streamQuery<R>(
    query: CompiledQuery,
    chunkSize = 100,
    options?: AbortOptions,
  ): AsyncGenerator<QueryResult<R>, void, undefined> {
    return this.stream(new CompiledStream<R>(this, query, options?.signal, chunkSize))
  }

  async collectSessionInfo(): Promise<void> {
    this.wantsInfo = true
    const { session } = this
    if (session !== undefined) await this.connections.of(session).collectSessionInfo?.()
  }

  async cancelQuery(_provider: ControlConnectionProvider): Promise<void> {
    const { session } = this
    if (session !== undefined) await this.connections.of(session).cancelQuery?.(this.#controlOf(session.node))
  }

  async killSession(_provider: ControlConnectionProvider): Promise<void> {
    const { session } = this
    if (session !== undefined) await this.connections.of(session).killSession?.(this.#controlOf(session.node))
  }

  /** Lends connections to this node. On another node a process id means nothing, or somebody else's process. */
  #controlOf(node: Node): ControlConnectionProvider {
    return async (consumer) => {
      const session = sessionOf(node, await beginLending(node))
      try {
        await this.connections.prepare(session, undefined)
        await consumer(this.connections.of(session))
      } finally {
        release(session)
      }
    }
  }
}

/** A compiled query whose rows come all at once. */
class CompiledStatement<R> implements Query<QueryResult<R>> {
  readonly #connection: PrimaryReplicaConnection
  readonly #query: CompiledQuery
  readonly text: string
  readonly mark: Mark | undefined
  readonly signal: AbortSignal | undefined

  constructor(connection: PrimaryReplicaConnection, query: CompiledQuery, signal: AbortSignal | undefined) {
    this.#connection = connection
    this.#query = query
    this.text = query.sql
    this.mark = markOf(query)
    this.signal = signal
  }

  get values(): readonly unknown[] {
    return this.#query.parameters
  }

  get allowsQuestions(): boolean {
    return true
  }

  get mayBeSentAgain(): boolean {
    return true
  }

  send(session: Session): Promise<QueryResult<R>> {
    const { connections, wantsInfo } = this.#connection
    const connection = connections.of(session)
    if (!wantsInfo || connection.collectSessionInfo === undefined)
      return connection.executeQuery<R>(this.#query)
    return connection.collectSessionInfo().then(() => connection.executeQuery<R>(this.#query))
  }

  affectedBy({ numAffectedRows }: QueryResult<R>): bigint | undefined {
    return numAffectedRows
  }

  isEmpty({ rows }: QueryResult<R>): boolean {
    return rows.length === 0
  }
}

/** A compiled query whose rows come bit by bit. */
class CompiledStream<R> implements Query<SessionStream<R>> {
  readonly #connection: PrimaryReplicaConnection
  readonly #query: CompiledQuery
  readonly #chunkSize: number
  readonly text: string
  readonly mark: Mark | undefined
  readonly signal: AbortSignal | undefined

  constructor(
    connection: PrimaryReplicaConnection,
    query: CompiledQuery,
    signal: AbortSignal | undefined,
    chunkSize: number,
  ) {
    this.#connection = connection
    this.#query = query
    this.#chunkSize = chunkSize
    this.text = query.sql
    this.mark = markOf(query)
    this.signal = signal
  }

  get values(): readonly unknown[] {
    return this.#query.parameters
  }

  get allowsQuestions(): boolean {
    return false
  }

  get mayBeSentAgain(): boolean {
    return true
  }

  async send(session: Session, timeoutMs: number | undefined): Promise<SessionStream<R>> {
    const { connections, wantsInfo } = this.#connection
    const connection = connections.of(session)
    if (wantsInfo) await connection.collectSessionInfo?.()
    const rows = connection.streamQuery<R>(this.#query, this.#chunkSize)
    return await SessionStream.open<R>(session, rows, timeoutMs)
  }

  affectedBy(): undefined {
    return undefined
  }

  isEmpty({ isEmpty }: SessionStream<R>): boolean {
    return isEmpty
  }
}
