import { lostClients, type PoolClientLike, type PoolLike } from './pool.ts'

/** How long the connections of an ended pool may take to close, in ms. A frozen server never closes its side. */
const CLOSING_MS = 1_000

/**
 * The clients of one pool, each from the moment it connects until its connection is closed.
 *
 * Keeps a terminated backend from ending the process. `pg` emits `error` on the client and, if that is idle, on the
 * pool. Node.js ends a process over an `error` event that has no listener. A query that was running fails by itself.
 */
export class PoolClients {
  readonly #pool: PoolLike
  readonly #clients = new Map<PoolClientLike, number>()
  #generation = 0
  #onAllClosed = () => {}

  constructor(pool: PoolLike) {
    this.#pool = pool
    // Not the event `connect`: a pool that the application made may already have connections.
    pool.on?.('acquire', this.take)
    pool.on?.('error', ignore)
  }

  /** Records a client that begins to connect, or that was found in the pool. */
  readonly take = (client: PoolClientLike): void => {
    if (client.on === undefined || this.#clients.has(client)) return
    this.#clients.set(client, this.#generation)
    let reason = new Error('Connection terminated unexpectedly')
    client.on('error', (error) => {
      reason = error
    })
    client.on('end', () => {
      lostClients.set(client, reason)
      this.#clients.delete(client)
      if (this.#clients.size === 0) this.#onAllClosed()
    })
  }

  get all(): Iterable<PoolClientLike> {
    return this.#clients.keys()
  }

  /** Marks the current clients stale: each is closed once it is idle. */
  recycle(): void {
    this.#generation++
  }

  /** Whether a client connected after the last {@link recycle}. */
  isCurrent(client: PoolClientLike): boolean {
    return (this.#clients.get(client) ?? this.#generation) === this.#generation
  }

  /** Whether a client that is not stale is connected to an address other than these. */
  isElsewhere(addresses: ReadonlySet<string>): boolean {
    for (const [client, generation] of this.#clients) {
      if (generation === this.#generation && isElsewhere(client, addresses)) return true
    }
    return false
  }

  /** Closes every connection at once, in use or not. The statements on them fail as on a lost connection. */
  cut(): void {
    for (const client of this.#clients.keys()) client.connection?.stream?.destroy()
  }

  /**
   * Waits, after the pool has ended, until its connections are closed. After a second it cuts off those that are not.
   * When the last one is closed, it removes the listeners.
   */
  closed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.cut()
        resolve()
      }, CLOSING_MS)
      this.#onAllClosed = () => {
        clearTimeout(timer)
        this.#pool.off?.('acquire', this.take)
        this.#pool.off?.('error', ignore)
        resolve()
      }
      if (this.#clients.size === 0) this.#onAllClosed()
    })
  }
}

/** Whether a client is connected to an address other than these. */
export function isElsewhere({ connection }: ConnectedClient, addresses: ReadonlySet<string>): boolean {
  const address = connection?.stream?.remoteAddress
  return address !== undefined && !addresses.has(plainAddress(address))
}

interface ConnectedClient {
  readonly connection?: { readonly stream?: { readonly remoteAddress?: string | undefined } }
}

// A socket for both address families shows an IPv4 address as `::ffff:192.0.2.1`.
function plainAddress(address: string): string {
  return address.replace(/^::ffff:/i, '')
}

function ignore(): void {}
