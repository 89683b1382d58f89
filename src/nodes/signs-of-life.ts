import type { NodePool } from './node-pool.ts'
import type { PoolClientLike } from './pool.ts'

/**
 * Whether the sessions of a pool hear from their server, by how much their sockets have read: nothing is added to the path of a query.
 * A session that is only beginning does not count: a pooler greets it while its server is dead.
 */
export class SignsOfLife {
  readonly #pool: NodePool
  /** How much each had read. */
  #read = new Map<PoolClientLike, number>()
  #old = new Set<PoolClientLike>()

  constructor(pool: NodePool) {
    this.#pool = pool
  }

  /** From now on it is about what the sessions read that have begun by now. */
  listen(): void {
    this.#read = new Map()
    for (const client of this.#pool.clients) {
      if (typeof client.processID === 'number') this.#read.set(client, readBy(client))
    }
  }

  /** Whether one of them has read anything since. The last words of one that has ended are no sign of life. */
  get isAny(): boolean {
    return this.#hasRead(this.#left())
  }

  /** All was well: the sessions that there are lead to the server. */
  isWell(): void {
    this.#old = new Set(this.#pool.clients)
  }

  /** Whether those of when all was well have read nothing; where none of them is left, nobody has. What was connected since may have got another way. */
  get isLost(): boolean {
    const left = this.#left()
    const old = left.filter((client) => this.#old.has(client))
    return !this.#hasRead(old.length > 0 ? old : left)
  }

  #left(): PoolClientLike[] {
    return [...this.#pool.clients].filter((client) => this.#read.has(client))
  }

  #hasRead(clients: readonly PoolClientLike[]): boolean {
    return clients.some((client) => readBy(client) > (this.#read.get(client) ?? 0))
  }
}

function readBy({ connection }: PoolClientLike): number {
  return connection?.stream?.bytesRead ?? 0
}
