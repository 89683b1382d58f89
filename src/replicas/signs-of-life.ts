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

  constructor(pool: NodePool) {
    this.#pool = pool
  }

  /** From now on it is about the sessions that have begun by now. */
  note(): void {
    this.#read = new Map()
    for (const client of this.#pool.clients) {
      if (typeof client.processID === 'number') this.#read.set(client, readBy(client))
    }
  }

  /** From now on it is about what the same sessions read. */
  listen(): void {
    for (const client of this.#read.keys()) this.#read.set(client, readBy(client))
  }

  /** Whether one of them has read anything since. The last words of one that has ended are no sign of life. */
  get isAny(): boolean {
    for (const client of this.#pool.clients) {
      const before = this.#read.get(client)
      if (before !== undefined && readBy(client) > before) return true
    }
    return false
  }
}

function readBy({ connection }: PoolClientLike): number {
  return connection?.stream?.bytesRead ?? 0
}
