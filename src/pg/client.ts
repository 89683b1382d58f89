import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import pg from 'pg'
import type { PoolClientLike } from '../nodes/pool.ts'
import type { Session } from '../nodes/session.ts'
import { RoutedConnection } from '../routing/connection.ts'
import { type Callback, callbackOf, inTurn } from './callbacks.ts'
import type { ServerProcesses } from './server-processes.ts'
import { PgStatement, type Results } from './statement.ts'
import { isSubmittable, SubmittedQuery } from './submitted.ts'
import { TypeParsers } from './type-parsers.ts'

/** The events of a session that its client emits too, whatever node it is on. */
const EVENTS = ['error', 'notice', 'notification', 'end'] as const

type PgClient = PoolClientLike & Partial<pg.PoolClient> & { ref?(): void; unref?(): void }

/** A connection that reports to its client on which session it is. */
export class PgConnection extends RoutedConnection {
  /** Called with each session that the connection takes, and with undefined when it leaves one. */
  onMoved: ((session: Session | undefined) => void) | undefined
  /** Whether it was released while a query was still under way on it. */
  wasLeft = false

  override open(): void {
    super.open()
    this.wasLeft = false
  }

  protected override moved(session: Session | undefined): void {
    this.onMoved?.(session)
  }
}

/** The pool that a client came from, as the client sees it. */
export interface Lender {
  takeBack(client: RoutedClient, isToBeClosed: boolean, reason: unknown): void
  /** The type parsers that the pool was given; undefined for `pg`'s own. */
  readonly types: unknown
  readonly processes: ServerProcesses
}

/**
 * A client of a {@link PrimaryReplicaPool}: a `pg` `PoolClient` that finds its node by itself. Before its first
 * statement it is on no node. Then `processID` and all other properties of a session are `null`.
 */
export class RoutedClient extends EventEmitter {
  readonly #connection: PgConnection
  readonly #lender: Lender
  readonly #resource = new AsyncResource('write-pinning.Client')
  #types: TypeParsers | undefined
  #bound: PgClient | undefined
  #isReleased = false
  /** Whether its holder has ended it. */
  #isEnded = false
  /** How many queries are under way. */
  #queries = 0
  /** The arguments of `error` if a connection was lost under these queries. */
  #loss: readonly unknown[] | undefined

  constructor(connection: PgConnection, lender: Lender) {
    super()
    this.#connection = connection
    this.#lender = lender
    connection.onMoved = (session) => this.#moved(session)
  }

  /**
   * Sends a query, in every form that `pg` has, to the node where it belongs. Queries on one client run one after the
   * other.
   */
  query(config: unknown, values?: unknown, callback?: Callback<Results>): unknown {
    if (config === null || config === undefined) {
      throw new TypeError('Client was passed a null or undefined query')
    }
    if (this.#isEnded || this.#isReleased) return this.#refuse(config, values, callback)
    if (isSubmittable(config)) return this.#submit(config, values, callback)
    const then = callbackOf(config, values, callback)
    const its = typeof values === 'function' ? undefined : values
    // In a transaction, the client may act as a database user that is not known here.
    const cancelled = this.#connection.isInTransaction
      ? undefined
      : this.#lender.processes.cancelElsewhere(config, its, this.#connection)
    const sent =
      cancelled ??
      this.#track(this.#connection.run(new PgStatement(config, its, this.#types && { types: this.#types })))
    if (then === undefined) return sent
    inTurn(sent, then, null)
    return undefined
  }

  /**
   * Gives the client back to its pool. With an error or `true`, the connection that it is on is closed.
   *
   * @throws {Error} if the client was already given back, as `pg` does.
   */
  readonly release = (errorOrTrue?: unknown): void => {
    if (this.#isReleased) {
      throw new Error('Release called on client which has already been released to the pool.')
    }
    this.#isReleased = true
    this.#lender.takeBack(this, Boolean(errorOrTrue), errorOrTrue)
  }

  /**
   * Closes the connection that it is on, if there is one. After that the client takes no query, but must still be
   * released.
   */
  end(callback?: Callback<void>): Promise<void> | undefined {
    const ended = this.#end()
    if (callback === undefined) return ended
    inTurn(ended, callback)
    return undefined
  }

  async #end(): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    const client = this.#bound
    // Stops listening to the connection, so that `end` is emitted once, below.
    this.#moved(undefined)
    this.#connection.end()
    if (client?.end !== undefined) await new Promise<void>((resolve) => client.end?.(() => resolve()))
    this.emit('end')
  }

  /** Refuses a query as `pg` does once a client was ended. */
  #refuse(config: unknown, values: unknown, callback: Callback<Results> | undefined): unknown {
    const error = new Error(
      this.#isEnded
        ? 'Client was closed and is not queryable'
        : 'Client was released to the pool, and takes no query any more',
    )
    if (isSubmittable(config)) {
      process.nextTick(() => new SubmittedQuery(config).fail(error))
      return config
    }
    const then = callbackOf(config, values, callback)
    if (then === undefined) return Promise.reject(error)
    process.nextTick(then, error)
    return undefined
  }

  /** A client of a pool is already connected. So this fails, as in `pg`. */
  connect(callback?: (error: Error) => void): Promise<never> | undefined {
    const error = new Error('Client has already been connected. You cannot reuse a client.')
    if (callback === undefined) return Promise.reject(error)
    process.nextTick(callback, error)
    return undefined
  }

  /** The process id of its session; `null` before its first statement. */
  get processID(): number | null {
    const processId = this.#bound?.processID ?? null
    const { session } = this.#connection
    if (session !== undefined && processId !== null) this.#lender.processes.wasRead(processId, session)
    return processId
  }

  /** `'I'`, `'T'` or `'E'` of its session; `null` before its first statement. */
  getTransactionStatus(): string | null {
    return this.#bound?.getTransactionStatus?.() ?? null
  }

  /** `pg`'s connection of its session; `null` before its first statement. */
  get connection(): unknown {
    return this.#bound?.connection ?? null
  }

  get host(): string | null {
    return this.#bound?.host ?? null
  }

  get port(): number | null {
    return this.#bound?.port ?? null
  }

  get database(): string | null {
    return this.#bound?.database ?? null
  }

  get user(): string | null {
    return this.#bound?.user ?? null
  }

  escapeIdentifier(text: string): string {
    return pg.escapeIdentifier(text)
  }

  escapeLiteral(text: string): string {
    return pg.escapeLiteral(text)
  }

  /**
   * Sets the function that parses values of a type, for the queries that this client sends from now on. It does not
   * stay with the connection.
   */
  setTypeParser(oid: number, formatOrParser: unknown, parser?: unknown): void {
    this.#types ??= new TypeParsers(this.#lender.types)
    this.#types.setTypeParser(oid, formatOrParser, parser)
  }

  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    return (this.#types ?? new TypeParsers(this.#lender.types)).getTypeParser(oid, format)
  }

  /** Does not keep the process alive. */
  unref(): void {
    this.#bound?.unref?.()
  }

  ref(): void {
    this.#bound?.ref?.()
  }

  /** The client was released: it emits no more events of a session. */
  forget(): void {
    this.#moved(undefined)
    this.#connection.onMoved = undefined
  }

  #submit(given: pg.Submittable, values: unknown, callback: Callback<Results> | undefined): unknown {
    const its = given as { callback?: unknown }
    if (!its.callback) {
      const then = typeof values === 'function' ? values : callback
      if (then !== undefined) its.callback = then
    }
    const submitted = new SubmittedQuery(given, this.#types && { types: this.#types })
    // In the next tick. Otherwise, an error that its callback throws would reject a promise that nobody awaits.
    this.#track(this.#connection.run(submitted)).then(
      () => process.nextTick(() => submitted.finish()),
      (error: unknown) => process.nextTick(() => submitted.fail(error)),
    )
    return given
  }

  #tell(event: string, args: readonly unknown[]): void {
    if (this.listenerCount(event) > 0) this.#resource.runInAsyncScope(() => this.emit(event, ...args))
  }

  async #track<T>(running: Promise<T>): Promise<T> {
    this.#queries++
    try {
      const result = await running
      // Another node ran the query, so nothing was lost.
      this.#loss = undefined
      return result
    } finally {
      this.#queries--
      const loss = this.#loss
      this.#loss = undefined
      if (loss !== undefined) this.#tell('error', loss)
      if (this.#queries === 0) process.nextTick(() => this.#queries === 0 && this.emit('drain'))
    }
  }

  #moved(session: Session | undefined): void {
    const before = this.#bound
    this.#bound = session?.client as PgClient | undefined
    if (before === this.#bound) return
    for (const event of EVENTS) {
      before?.off?.(event as 'end', this.#forward[event] as () => void)
      this.#bound?.on?.(event as 'end', this.#forward[event] as () => void)
    }
  }

  // Emits in the context in which the client was taken, not in that of its socket. Emits only if there is a listener:
  // otherwise an `error` would end the process.
  readonly #forward = Object.fromEntries(
    EVENTS.map((event) => [
      event,
      (...args: unknown[]) => {
        // While a query is under way, another node may still run it. Then only a connection is lost.
        if (event === 'error' && this.#queries > 0) this.#loss = args
        else this.#tell(event, args)
      },
    ]),
  ) as Readonly<Record<string, () => void>>
}
