import { setTimeout as wait } from 'node:timers/promises'
import { type OwnStatement, withoutApplicationSettings } from '../own-statements.ts'
import { demanded, makeClientsOf } from './client-class.ts'
import { refusesSerializable } from './error-meaning.ts'
import type { Lookup } from './host.ts'
import type { ClientClass, PoolClientLike, PoolLike } from './pool.ts'
import { isElsewhere, PoolClients } from './pool-clients.ts'
import { ReplicaSessions, type SessionDemands } from './replica-sessions.ts'
import { isSettingClass } from './session-settings.ts'

/** How often the queue of a pool that is to end is checked, in ms. */
const QUEUE_LOOK_MS = 5

/** What a node's pool is made of. */
export interface NodePoolOptions {
  /** The node's name, for messages. */
  readonly name: string
  /** The application's own pool, if the node was given one. It ends with this one, even if it was never opened here. */
  readonly given: PoolLike | undefined
  readonly open: () => Promise<PoolLike>
  readonly isReplica: boolean
  /** Whether a replica's sessions are read-only. */
  readonly enforceReadOnly: boolean
  readonly connectTimeoutMs: number
  readonly maxLifetimeSeconds: number | undefined
  readonly lookup: Lookup | undefined
}

/** One node's pool, and what this package does to it: it watches the clients, and can replace them or cut them off. */
export class NodePool {
  readonly #options: NodePoolOptions
  #opened: Promise<PoolLike> | undefined
  #pool: PoolLike | undefined
  #clients: PoolClients | undefined
  #sessions: ReplicaSessions | undefined
  #isReplica: boolean
  #OwnClient: ClientClass | undefined
  /** The clients outside the pool, until each has ended. */
  readonly #own = new Set<OwnClient>()
  /** The most clients that can be older than the current demands. */
  #olderClients = 0
  #refusal: Error | undefined

  constructor(options: NodePoolOptions) {
    this.#options = options
    this.#isReplica = options.isReplica
  }

  /** Opens the pool once. After a failure the next call tries again, as Kysely does with `init()`. */
  open(): Promise<PoolLike> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  /** The pool; undefined until it is open. */
  get pool(): PoolLike | undefined {
    return this.#pool
  }

  /** The current clients of the pool, including those that are still connecting. */
  get clients(): Iterable<PoolClientLike> {
    return this.#clients?.all ?? []
  }

  /** How many connections the pool may hold. The default of `pg` is 10. */
  get max(): number {
    const { max } = (this.#pool?.options ?? {}) as { max?: number }
    return typeof max === 'number' && max > 0 ? max : 10
  }

  /** Whether the server can be asked over a connection outside the pool. */
  get canBeWatched(): boolean {
    return this.#OwnClient !== undefined
  }

  /**
   * Whether sessions can be set to what their holders want. True until the pool is open, because only an open pool
   * shows that.
   */
  get carriesSettings(): boolean {
    if (this.#pool === undefined) return true
    const { Client, options } = this.#pool
    return isSettingClass(Client) && (options as { pipeline?: unknown } | undefined)?.pipeline !== true
  }

  /** How long connecting may take, in ms: as the pool says, or else as the dialect says. */
  get connectTimeoutMs(): number {
    const { connectionTimeoutMillis } = (this.#pool?.options ?? {}) as { connectionTimeoutMillis?: number }
    return connectionTimeoutMillis || this.#options.connectTimeoutMs
  }

  /** Gives a client of the pool whose session meets the demands. Closes clients that are older than the demands. */
  connect(): Promise<PoolClientLike> {
    if (this.#olderClients === 0) return (this.#pool as PoolLike).connect()
    return this.#connectAnew()
  }

  /** Ends the pool, and waits until its connections are closed. */
  async end(): Promise<void> {
    const pool = this.#pool ?? this.#options.given
    // A caller in the queue of an ended pool would wait for ever.
    while ((pool?.waitingCount ?? 0) > 0) await wait(QUEUE_LOOK_MS)
    try {
      await pool?.end()
    } finally {
      await this.#clients?.closed()
    }
  }

  /** Replaces each existing connection once it is idle. */
  recycle(): void {
    this.#clients?.recycle()
    this.#olderClients = this.#pool?.totalCount ?? 0
  }

  /** Closes every connection at once. Until {@link readmit}, connecting fails with this error. */
  cutOff(because: Error): void {
    this.#refusal = because
    this.#clients?.cut()
  }

  /** Closes every connection at once. */
  cut(): void {
    this.#clients?.cut()
  }

  /** Allows connecting again. */
  readmit(): void {
    this.#refusal = undefined
  }

  /** Sets whether new sessions are those of a replica, and replaces the others. */
  setReplica(isReplica: boolean): void {
    if (isReplica === this.#isReplica) return
    this.#isReplica = isReplica
    this.#sessions?.set(this.#demands)
    this.recycle()
  }

  /**
   * Makes new sessions repeatable read, if an error shows that they are serializable by default. A replica refuses
   * serializable ones. True if it did so.
   */
  doWithoutSerializable(error: unknown): boolean {
    if (!refusesSerializable(error) || this.#sessions?.learnSerializable() !== true) return false
    this.recycle()
    return true
  }

  /** Gives up the read-only start-up option, if connecting failed because of it. True if it did so. */
  doWithoutReadOnly(error: unknown): boolean {
    return this.#sessions?.doWithout(error) === true
  }

  /** Records whether the session of a client outside the pool is read-only. A pooler may have dropped that option. */
  heardReadOnly(client: OwnClient, isReadOnly: boolean): void {
    this.#sessions?.heard(client, isReadOnly)
  }

  /**
   * Replaces the pool's connections, if any of them leads to an address that the host's name no longer has. True if
   * any connection does, of the pool or outside it. Each connection counts once.
   */
  follow(addresses: ReadonlySet<string>): boolean {
    const isPoolElsewhere = this.#clients?.isElsewhere(addresses) === true
    if (isPoolElsewhere) this.recycle()
    const moved = [...this.#own].filter((client) => isElsewhere(client, addresses))
    for (const client of moved) this.#own.delete(client)
    return isPoolElsewhere || moved.length > 0
  }

  /**
   * Tells the pool's listeners of a session that the server has ended. `pg` tells them only if the client was given
   * back before its connection closed. But then the next query could get that client.
   */
  reportLoss(client: PoolClientLike): void {
    this.#pool?.emit?.('error', new Error('Connection terminated unexpectedly'), client)
  }

  /** Makes a client outside the pool. With `timeoutMs`, neither connecting nor an answer takes longer than that. */
  async ownClient(timeoutMs?: number): Promise<OwnClient> {
    const pool = await this.open()
    if (this.#OwnClient === undefined) throw new Error('This pool cannot make clients of its own.')
    const made = new this.#OwnClient({
      ...demanded(pool.options ?? {}, this.#options),
      connectionTimeoutMillis: timeoutMs ?? 0,
      application_name: 'write-pinning',
    }) as unknown as OwnClient
    const client = withoutApplicationSettings(made, timeoutMs)
    client.on('error', ignore)
    client.on('end', () => this.#own.delete(client))
    this.#own.add(client)
    return client
  }

  async #open(): Promise<PoolLike> {
    const { name, open, connectTimeoutMs, maxLifetimeSeconds, lookup } = this.#options
    const pool = await open()
    const clients = new PoolClients(pool)
    this.#olderClients = this.#isReplica ? (pool.totalCount ?? 0) : 0
    this.#OwnClient = makeClientsOf(pool, {
      connectTimeoutMs,
      lookup,
      onConnecting: clients.take,
      refusal: () => this.#refusal,
    })
    if (maxLifetimeSeconds !== undefined) jitterLifetime(pool, maxLifetimeSeconds)
    this.#sessions = new ReplicaSessions(name, pool)
    if (this.#isReplica) this.#sessions.set(this.#demands)
    this.#clients = clients
    this.#pool = pool
    return pool
  }

  get #demands(): SessionDemands {
    return { isReadOnly: this.#isReplica && this.#options.enforceReadOnly, isOnReplica: this.#isReplica }
  }

  async #connectAnew(): Promise<PoolClientLike> {
    const pool = this.#pool as PoolLike
    for (;;) {
      const client = await pool.connect()
      // Closes no more clients than were old. A pool that copies its options makes new ones that do not meet the
      // demands either.
      if (this.#olderClients === 0 || this.#isAsDemanded(client)) return client
      this.#olderClients--
      client.release(true)
    }
  }

  #isAsDemanded(client: PoolClientLike): boolean {
    return this.#clients?.isCurrent(client) !== false && this.#sessions?.isAsDemanded(client) !== false
  }
}

/**
 * `pg-pool` reads this option for each connection that it makes. So each connection gets a lifetime of its own, and
 * they are not all replaced at once.
 */
function jitterLifetime(pool: PoolLike, maxLifetimeSeconds: number): void {
  Object.defineProperty(pool.options ?? {}, 'maxLifetimeSeconds', {
    configurable: true,
    enumerable: true,
    get: () => maxLifetimeSeconds * (1 - Math.random() * LIFETIME_JITTER),
    set: ignore,
  })
}

const LIFETIME_JITTER = 0.2

/** The part of `pg`'s `Client` that is used here. */
export interface OwnClient {
  readonly connectionParameters?: { readonly options?: string }
  readonly connection?: {
    readonly stream?: { destroy(): void; readonly connecting?: boolean; readonly remoteAddress?: string }
  }
  readonly processID?: number | null
  connect(): Promise<unknown>
  connect(callback: (error?: Error) => void): void
  query<Row>(statement: string | OwnStatement): Promise<{ rows: Row[] }>
  end(): Promise<void>
  unref?(): void
  on(event: 'error' | 'end', listener: () => void): unknown
}

/** Connects a client by callback, which every class of client supports. */
export function connected(client: OwnClient): Promise<void> {
  return new Promise((resolve, reject) => {
    client.connect((error) => (error ? reject(error) : resolve()))
  })
}

function ignore(): void {}
