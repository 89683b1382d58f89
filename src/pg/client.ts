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

/** The events of a client that its holder hears, whatever node it is on. */
const EVENTS = ['error', 'notice', 'notification', 'end'] as const

type PgClient = PoolClientLike & Partial<pg.PoolClient> & { ref?(): void; unref?(): void }

/** A connection whose holder hears where it is. */
export class PgConnection extends RoutedConnection {
  /** Told of the session that it comes to, and of undefined as it leaves that. */
  onMoved: ((session: Session | undefined) => void) | undefined
  /** Whether it was given back while something was under way. */
  wasLeft = false

  override open(): void {
    super.open()
    this.wasLeft = false
  }

  protected override moved(session: Session | undefined): void {
    this.onMoved?.(session)
  }
}

/** Who lent a client, and takes it back. */
export interface Lender {
  takeBack(client: RoutedClient, isToBeClosed: boolean, reason: unknown): void
  /** The parsers of values that the pool was given; undefined for `pg`'s own. */
  readonly types: unknown
  readonly processes: ServerProcesses
}

/**
 * A client of a {@link PrimaryReplicaPool}: a `pg` `PoolClient` that finds its node by itself. It is on none before its first statement;
 * until then `processID` and whatever else only a connection has is `null`.
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
  /** With what a connection was lost while they are. */
  #loss: readonly unknown[] | undefined

  constructor(connection: PgConnection, lender: Lender) {
    super()
    this.#connection = connection
    this.#lender = lender
    connection.onMoved = (session) => this.#moved(session)
  }

  /** Sends a query, in every form that `pg` has, to the node where it belongs; those before it on this client are over by then. */
  query(config: unknown, values?: unknown, callback?: Callback<Results>): unknown {
    if (config === null || config === undefined) {
      throw new TypeError('Client was passed a null or undefined query')
    }
    if (this.#isEnded || this.#isReleased) return this.#refuse(config, values, callback)
    if (isSubmittable(config)) return this.#submit(config, values, callback)
    const then = callbackOf(config, values, callback)
    const its = typeof values === 'function' ? undefined : values
    // In a transaction it may act as somebody of whom nobody knows here.
    const signal = this.#connection.isInTransaction
      ? undefined
      : this.#lender.processes.signal(config, its, this.#connection)
    const sent =
      signal ??
      this.#track(this.#connection.run(new PgStatement(config, its, this.#types && { types: this.#types })))
    if (then === undefined) return sent
    inTurn(sent, then, null)
    return undefined
  }

  /**
   * Gives the client back to its pool; with an error or `true`, the connection that it is on is closed.
   *
   * @throws {Error} where it was given back before, as `pg` does.
   */
  readonly release = (errorOrTrue?: unknown): void => {
    if (this.#isReleased) {
      throw new Error('Release called on client which has already been released to the pool.')
    }
    this.#isReleased = true
    this.#lender.takeBack(this, Boolean(errorOrTrue), errorOrTrue)
  }

  /** Closes the connection that it is on, if any, and takes no query any more; it has to be released all the same. */
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
    // It is told of its end once, by this.
    this.#moved(undefined)
    this.#connection.end()
    if (client?.end !== undefined) await new Promise<void>((resolve) => client.end?.(() => resolve()))
    this.emit('end')
  }

  /** As `pg` refuses a query once its client was ended. */
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

  /** A client of a pool is connected by that: rejects, as `pg` does. */
  connect(callback?: (error: Error) => void): Promise<never> | undefined {
    const error = new Error('Client has already been connected. You cannot reuse a client.')
    if (callback === undefined) return Promise.reject(error)
    process.nextTick(callback, error)
    return undefined
  }

  /** The process id of the session that it is on; `null` before its first statement. */
  get processID(): number | null {
    const processId = this.#bound?.processID ?? null
    const { session } = this.#connection
    if (session !== undefined && processId !== null) this.#lender.processes.wasRead(processId, session)
    return processId
  }

  /** `'I'`, `'T'` or `'E'` of the session that it is on; `null` before its first statement. */
  getTransactionStatus(): string | null {
    return this.#bound?.getTransactionStatus?.() ?? null
  }

  /** `pg`'s connection of the session that it is on; `null` before its first statement. */
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

  /** Has values of a type parsed by a function, in what this client sends from now on; it does not stay with the connection. */
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

  /** Whoever held it hears nothing more. */
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
    const submitted = new SubmittedQuery(given, this.#types)
    // In a turn of its own: what its callback throws is nobody's rejection.
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
      // It was done elsewhere.
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

  // In the context of whoever took the client, and not of whoever opened its socket. Nobody who listens to nothing is to end the process by
  // an `error`.
  readonly #forward = Object.fromEntries(
    EVENTS.map((event) => [
      event,
      (...args: unknown[]) => {
        // A query may be done by another node: then nothing is lost but a connection.
        if (event === 'error' && this.#queries > 0) this.#loss = args
        else this.#tell(event, args)
      },
    ]),
  ) as Readonly<Record<string, () => void>>
}
