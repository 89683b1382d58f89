import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import pg from 'pg'
import type { Session } from '../nodes/session.ts'
import { type Callback, callbackOf } from './callbacks.ts'
import { readClientConfig, shownConfig } from './client-config.ts'
import { ClientQueue, type Work } from './client-queue.ts'
import { workOf, workOfSubmitted } from './client-work.ts'
import { endsConnection } from './connection-loss.ts'
import type { Guest, Home } from './driver-home.ts'
import { type Hearer, IdleConnection } from './idle-connection.ts'
import { initialSettings } from './initial-settings.ts'
import { ServerParameters } from './server-parameters.ts'
import type { Holder } from './server-processes.ts'
import type { QueryDefaults, Results } from './statement.ts'
import { StatementNames } from './statement-names.ts'
import { isSubmittable } from './submitted.ts'
import { TypeParsers } from './type-parsers.ts'

/**
 * The part of `pg`'s own client that is used here. The rest is about its connection, which this client does not have.
 */
interface PgClient extends EventEmitter {
  readonly connection: EventEmitter
  connectionParameters: { host?: string; port?: number }
  readyForQuery: boolean
  _connecting: boolean
  _connected: boolean
  _ending: boolean
  _ended: boolean
  _queryable: boolean
}

/** The part of a node's client that this client shows as its own. */
interface BoundClient {
  readonly host?: string
  readonly port?: number
  ref?(): void
  unref?(): void
}

const Base = pg.Client as unknown as new (config: pg.ClientConfig) => PgClient

/**
 * A `pg` `Client` over a {@link PrimaryReplicaPool}. Each of its statements finds its node. While it is idle it holds
 * no connection, unless a transaction is open or something is left in the session that no other session has. Its
 * `connect()` needs no server.
 */
export class DriverClient extends Base implements Holder, Guest {
  readonly #home: Home
  #defaults: QueryDefaults | undefined
  #types: TypeParsers | undefined
  readonly #queue = new ClientQueue((work) => this.#perform(work))
  readonly #on: IdleConnection
  readonly #names = new StatementNames()
  readonly #resource = new AsyncResource('write-pinning.Client')

  constructor(config: unknown, home: Home) {
    super(shownConfig(config, home.config))
    this.#home = home
    const { defaults, settings } = readClientConfig(config)
    const hearer: Hearer = {
      hear: (event, args) => this.#tell(event, args),
      lost: (error: Error) => {
        // If a query is under way, its own outcome decides: another node may serve it.
        if (this.#queue.active === undefined) this.#die(error, true)
      },
    }
    this.#on = new IdleConnection(home.lend, hearer, initialSettings(settings))
    this.#defaults = defaults
    for (const name of ['processID', 'host', 'port'] as const) {
      Object.defineProperty(this, name, { configurable: true, enumerable: true, get: () => this.#here(name) })
    }
  }

  /** Opens the pool, if it is not open yet. If there is no server, the first statement fails. */
  connect(callback?: (error: unknown, client?: this) => void): Promise<this> | undefined {
    if (callback === undefined) {
      return new Promise((resolve, reject) => {
        this.connect((error) => (error ? reject(error) : resolve(this)))
      })
    }
    if (this._connecting || this._connected) {
      const error = new Error('Client has already been connected. You cannot reuse a client.')
      process.nextTick(callback, error)
      return undefined
    }
    this._connecting = true
    this.#open().then(
      () => process.nextTick(() => this.#connected(callback)),
      (error: unknown) => process.nextTick(() => this.#failedToConnect(error, callback)),
    )
    return undefined
  }

  /** Sends a query, in every form that `pg` has, once the queries before it on this client are over. */
  query(config: unknown, values?: unknown, callback?: Callback<Results>): unknown {
    if (config === null || config === undefined) {
      throw new TypeError('Client was passed a null or undefined query')
    }
    if (isSubmittable(config)) {
      this.#names.fillIn(config)
      this.#enqueue(workOfSubmitted(config, values, callback, this.#defaults))
      return config
    }
    const then = callbackOf(config, values, callback)
    const its = typeof values === 'function' ? undefined : values
    if (then === undefined) {
      return new Promise<unknown>((resolve, reject) => this.#state(config, its, resolve, reject)).catch(
        (error: Error) => {
          // As in `pg`: the stack then leads to the caller of the query.
          if (error instanceof Error) Error.captureStackTrace(error)
          throw error
        },
      )
    }
    this.#state(
      config,
      its,
      (result) => process.nextTick(then, null, result),
      (error) => process.nextTick(then, error),
    )
    return undefined
  }

  /** Ends the client. A query that is under way fails, and a session in which something was left is closed. */
  end(callback?: () => void): Promise<void> | undefined {
    if (callback === undefined) return new Promise((resolve) => this.end(resolve))
    this._ending = true
    const isOpen = (this._connected || this._connecting) && !this._ended
    const error = new Error(isOpen ? 'Connection terminated' : 'Client was closed and is not queryable')
    if (!isOpen) {
      this.#close(error)
      callback()
      return undefined
    }
    this.once('end', callback)
    this.#close(error)
    return undefined
  }

  /** The session that it is on. */
  get session(): Session | undefined {
    return this.#on.session
  }

  /** `'I'`, `'T'` or `'E'` of its session. Without a session `'I'`, and `null` before it is connected. */
  getTransactionStatus(): string | null {
    return this.session?.client.getTransactionStatus?.() ?? (this._connected ? 'I' : null)
  }

  setTypeParser(oid: number, formatOrParser: unknown, parser?: unknown): void {
    this.#types ??= new TypeParsers(this.#defaults?.types ?? this.#home.types)
    this.#types.setTypeParser(oid, formatOrParser, parser)
    this.#defaults = { ...this.#defaults, types: this.#types }
  }

  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    return (this.#types ?? new TypeParsers(this.#defaults?.types ?? this.#home.types)).getTypeParser(
      oid,
      format,
    )
  }

  /** Does not keep the process alive. */
  unref(): void {
    this.#bound?.unref?.()
  }

  ref(): void {
    this.#bound?.ref?.()
  }

  /** Cancels the query that waits for a session. It is never sent. */
  cancelWaiting(): void {
    const work = this.#queue.active
    if (work === undefined || this.session !== undefined) return
    const error = Object.assign(new Error('canceling statement due to user request'), { code: '57014' })
    work.cancel(error)
    work.fail(error)
    this.#queue.isOver(work)
    this.#on.giveBack()
    this.#ran(work.text)
  }

  /** The pool ends. Gives up an idle session at once. A busy one is given up when its queries are over. */
  leaveHome(): void {
    if (this.session === undefined || !this.#queue.isEmpty || this.#on.isInTransaction) return
    this.#die(new Error('Connection terminated'), false)
  }

  async #open(): Promise<void> {
    await this.#home.open()
    if (this.connection.listenerCount('parameterStatus') === 0) return
    // A library listens for the server's parameters, and must get an error if there is no server.
    const connection = this.#on.take()
    try {
      for (const [parameterName, parameterValue] of await connection.run(new ServerParameters())) {
        this.connection.emit('parameterStatus', { parameterName, parameterValue })
      }
    } finally {
      this.#on.giveBack()
    }
  }

  #connected(callback: (error: unknown, client?: this) => void): void {
    this._connecting = false
    if (this._ended) {
      callback(new Error('Connection terminated'))
      return
    }
    this._connected = true
    this.readyForQuery = true
    this.#home.clients.add(this)
    this.#home.processes.holders.add(this)
    callback(null, this)
    this.emit('connect')
    this.#queue.next()
  }

  #failedToConnect(error: unknown, callback: (error: unknown) => void): void {
    callback(error)
    this._queryable = false
    this.#close(error as Error)
    this._connecting = false
  }

  #state(config: unknown, values: unknown, succeed: Work['succeed'], fail: Work['fail']): void {
    // In a transaction, the client may act as a database user that is not known here.
    const signal = this.#on.isInTransaction
      ? undefined
      : this.#home.processes.signal(config, values, this.#on)
    if (signal !== undefined) {
      signal.then(succeed, fail)
      return
    }
    this.#enqueue(workOf(this.#names.withText(config), values, this.#defaults, { succeed, fail }))
  }

  #enqueue(work: Work): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) work.fail(refusal)
    else this.#queue.add(work, this._connected)
  }

  /** The error of `pg` for a query that will never be sent. */
  #refusal(): Error | undefined {
    if (!this._queryable) return new Error('Client has encountered a connection error and is not queryable')
    return this._ending ? new Error('Client was closed and is not queryable') : undefined
  }

  async #perform(work: Work): Promise<void> {
    let loss: { readonly error: unknown } | undefined
    try {
      const result = await work.send(this.#on.take(work.text))
      // If the client was ended meanwhile, the query has already failed.
      if (this.#queue.active === work) work.succeed(result)
    } catch (error) {
      if (this.#queue.active === work) work.fail(error)
      if (endsConnection(error)) loss = { error }
    }
    if (!this.#queue.isOver(work)) return
    if (loss !== undefined) this.#die(loss.error as Error, true)
    else this.#ran(work.text)
  }

  /** A statement is over: begins the next one, or gives the connection back. */
  #ran(text: string): void {
    const isEnding = this.#home.isEnding()
    // Queries that wait when the pool ends still use the connection.
    if (!isEnding || this.#queue.isEmpty) this.#on.ran(text)
    if (this.#queue.isEmpty) process.nextTick(() => this.#queue.isEmpty && this.emit('drain'))
    else this.#queue.next()
    if (isEnding) this.leaveHome()
  }

  /**
   * The session is lost, and so is all that was left in it. Like a client of `pg`, this one cannot be used any more.
   */
  #die(error: Error, isToBeTold: boolean): void {
    if (this._ended) return
    this._queryable = false
    this.#close(error)
    if (isToBeTold) this.#tell('error', [error])
  }

  #close(error: Error): void {
    const wasOpen = this._connected || this._connecting
    this.#queue.fail(error)
    this.#on.giveBack(true)
    this.#home.clients.delete(this)
    this.#home.processes.forget(this)
    if (!wasOpen || this._ended) return
    this._ended = true
    process.nextTick(() => this.emit('end'))
  }

  /** A property of the session. Without a session, host and port are those of the configuration. */
  #here(name: 'processID' | 'host' | 'port'): unknown {
    const { session } = this
    if (name !== 'processID') return this.#bound?.[name] ?? this.connectionParameters[name]
    const { processes } = this.#home
    // A query that waits for a session can be cancelled, too.
    if (session === undefined) return this.#queue.active === undefined ? null : processes.idOf(this)
    const processId = session.client.processID ?? null
    if (processId !== null) processes.wasRead(processId, session)
    return processId
  }

  get #bound(): BoundClient | undefined {
    return this.session?.client as BoundClient | undefined
  }

  // Emits in the context in which the client was made, not in that of a socket. Emits only if there is a listener:
  // otherwise an `error` would end the process.
  #tell(event: string, args: readonly unknown[]): void {
    if (this.listenerCount(event) > 0) this.#resource.runInAsyncScope(() => this.emit(event, ...args))
  }
}
