import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import pg from 'pg'
import type { Session } from '../nodes/session.ts'
import { BorrowedConnection, type SessionListener } from './borrowed-connection.ts'
import { type Callback, callbackOf } from './callbacks.ts'
import { readClientConfig, shownConfig } from './client-config.ts'
import { ClientQueue, type QueuedQuery } from './client-queue.ts'
import { endsConnection } from './connection-loss.ts'
import type { DriverPool, PoolMember } from './driver-pool.ts'
import { initialSettings } from './initial-settings.ts'
import { queuedQuery, queuedSubmitted } from './queued-query.ts'
import { ServerParameters } from './server-parameters.ts'
import type { CancellableClient } from './server-processes.ts'
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
export class DriverClient extends Base implements CancellableClient, PoolMember {
  readonly #pool: DriverPool
  #defaults: QueryDefaults | undefined
  #types: TypeParsers | undefined
  readonly #queue = new ClientQueue((queued) => this.#perform(queued))
  readonly #borrowed: BorrowedConnection
  readonly #names = new StatementNames()
  readonly #resource = new AsyncResource('write-pinning.Client')

  constructor(config: unknown, pool: DriverPool) {
    super(shownConfig(config, pool.config))
    this.#pool = pool
    const { defaults, settings } = readClientConfig(config)
    const listener: SessionListener = {
      hear: (event, args) => this.#emitIfHeard(event, args),
      lost: (error: Error) => {
        // If a query is under way, its own outcome decides: another node may serve it.
        if (this.#queue.active === undefined) this.#failForGood(error, true)
      },
    }
    this.#borrowed = new BorrowedConnection(pool.lend, listener, initialSettings(settings))
    this.#defaults = defaults
    for (const name of ['processID', 'host', 'port'] as const) {
      Object.defineProperty(this, name, {
        configurable: true,
        enumerable: true,
        get: () => this.#sessionProperty(name),
      })
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
      this.#enqueue(queuedSubmitted(config, values, callback, this.#defaults))
      return config
    }
    const then = callbackOf(config, values, callback)
    const its = typeof values === 'function' ? undefined : values
    if (then === undefined) {
      return new Promise<unknown>((resolve, reject) => this.#send(config, its, resolve, reject)).catch(
        (error: Error) => {
          // As in `pg`: the stack then leads to the caller of the query.
          if (error instanceof Error) Error.captureStackTrace(error)
          throw error
        },
      )
    }
    this.#send(
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
    return this.#borrowed.session
  }

  /** `'I'`, `'T'` or `'E'` of its session. Without a session `'I'`, and `null` before it is connected. */
  getTransactionStatus(): string | null {
    return this.session?.client.getTransactionStatus?.() ?? (this._connected ? 'I' : null)
  }

  setTypeParser(oid: number, formatOrParser: unknown, parser?: unknown): void {
    this.#types ??= new TypeParsers(this.#defaults?.types ?? this.#pool.types)
    this.#types.setTypeParser(oid, formatOrParser, parser)
    this.#defaults = { ...this.#defaults, types: this.#types }
  }

  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    return (this.#types ?? new TypeParsers(this.#defaults?.types ?? this.#pool.types)).getTypeParser(
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
    const queued = this.#queue.active
    if (queued === undefined || this.session !== undefined) return
    const error = Object.assign(new Error('canceling statement due to user request'), { code: '57014' })
    queued.cancel(error)
    queued.fail(error)
    this.#queue.end(queued)
    this.#borrowed.giveBack()
    this.#afterStatement(queued.text)
  }

  /** The pool ends. Gives up an idle session at once. A busy one is given up when its queries are over. */
  poolEnds(): void {
    if (this.session === undefined || !this.#queue.isEmpty || this.#borrowed.isInTransaction) return
    this.#failForGood(new Error('Connection terminated'), false)
  }

  async #open(): Promise<void> {
    await this.#pool.open()
    if (this.connection.listenerCount('parameterStatus') === 0) return
    // A library listens for the server's parameters, and must get an error if there is no server.
    const connection = this.#borrowed.take()
    try {
      for (const [parameterName, parameterValue] of await connection.run(new ServerParameters())) {
        this.connection.emit('parameterStatus', { parameterName, parameterValue })
      }
    } finally {
      this.#borrowed.giveBack()
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
    this.#pool.clients.add(this)
    this.#pool.processes.connected.add(this)
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

  #send(config: unknown, values: unknown, succeed: QueuedQuery['succeed'], fail: QueuedQuery['fail']): void {
    // In a transaction, the client may act as a database user that is not known here.
    const cancelled = this.#borrowed.isInTransaction
      ? undefined
      : this.#pool.processes.cancelElsewhere(config, values, this.#borrowed)
    if (cancelled !== undefined) {
      cancelled.then(succeed, fail)
      return
    }
    this.#enqueue(queuedQuery(this.#names.withText(config), values, this.#defaults, { succeed, fail }))
  }

  #enqueue(queued: QueuedQuery): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) queued.fail(refusal)
    else this.#queue.add(queued, this._connected)
  }

  /** The error of `pg` for a query that will never be sent. */
  #refusal(): Error | undefined {
    if (!this._queryable) return new Error('Client has encountered a connection error and is not queryable')
    return this._ending ? new Error('Client was closed and is not queryable') : undefined
  }

  async #perform(queued: QueuedQuery): Promise<void> {
    let loss: { readonly error: unknown } | undefined
    try {
      const result = await queued.send(this.#borrowed.take(queued.text))
      // If the client was ended meanwhile, the query has already failed.
      if (this.#queue.active === queued) queued.succeed(result)
    } catch (error) {
      if (this.#queue.active === queued) queued.fail(error)
      if (endsConnection(error)) loss = { error }
    }
    if (!this.#queue.end(queued)) return
    if (loss !== undefined) this.#failForGood(loss.error as Error, true)
    else this.#afterStatement(queued.text)
  }

  /** A statement is over: begins the next one, or gives the connection back. */
  #afterStatement(text: string): void {
    const isEnding = this.#pool.isEnding()
    // Queries that wait when the pool ends still use the connection.
    if (!isEnding || this.#queue.isEmpty) this.#borrowed.ran(text)
    if (this.#queue.isEmpty) process.nextTick(() => this.#queue.isEmpty && this.emit('drain'))
    else this.#queue.next()
    if (isEnding) this.poolEnds()
  }

  /**
   * The session is lost, and so is all that was left in it. Like a client of `pg`, this one cannot be used any more.
   */
  #failForGood(error: Error, isToBeTold: boolean): void {
    if (this._ended) return
    this._queryable = false
    this.#close(error)
    if (isToBeTold) this.#emitIfHeard('error', [error])
  }

  #close(error: Error): void {
    const wasOpen = this._connected || this._connecting
    this.#queue.fail(error)
    this.#borrowed.giveBack(true)
    this.#pool.clients.delete(this)
    this.#pool.processes.forget(this)
    if (!wasOpen || this._ended) return
    this._ended = true
    process.nextTick(() => this.emit('end'))
  }

  /** A property of the session. Without a session, host and port are those of the configuration. */
  #sessionProperty(name: 'processID' | 'host' | 'port'): unknown {
    const { session } = this
    if (name !== 'processID') return this.#bound?.[name] ?? this.connectionParameters[name]
    const { processes } = this.#pool
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
  #emitIfHeard(event: string, args: readonly unknown[]): void {
    if (this.listenerCount(event) > 0) this.#resource.runInAsyncScope(() => this.emit(event, ...args))
  }
}
