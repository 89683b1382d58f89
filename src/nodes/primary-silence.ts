import { type Node, unavailable } from './node.ts'
import type { NodePool } from './node-pool.ts'
import type { PoolClientLike } from './pool.ts'

/** How long a primary that is down may be silent, in ms. Then what is under way on it is given up. */
const SILENT_MS = 10_000

/**
 * Finds out for how long nothing was heard from the primary, by its prober or on the sessions of its pool. Those
 * sessions may go on even if no new connection is let in. What waits for the primary has nowhere else to go. So it is
 * given up late, but it is given up.
 */
export class PrimarySilence {
  readonly #primary: Node
  readonly #signs: SignsOfLife
  #sinceMs: number | undefined
  #wasCut = false

  constructor(primary: Node) {
    this.#primary = primary
    this.#signs = new SignsOfLife(primary.pool)
  }

  /** Something was heard from the primary. */
  end(): void {
    this.#sinceMs = undefined
    this.#wasCut = false
  }

  /**
   * A probe was refused or not answered. True if the sessions of the pool have heard nothing either since the last
   * call.
   */
  probeFailed(how: 'refused' | 'unanswered'): boolean {
    const nowMs = performance.now()
    const isBroken = this.#sinceMs === undefined || this.#signs.hasReadAny
    if (isBroken) this.#sinceMs = nowMs
    this.#signs.countBytes()
    const lastsMs = nowMs - (this.#sinceMs ?? nowMs)
    if (lastsMs > SILENT_MS && this.#primary.health === 'down') this.#giveUp(how)
    return !isBroken
  }

  /**
   * If the server refuses new connections, they fail by themselves. If it does not answer them, each would only add to
   * those that wait.
   */
  #giveUp(how: 'refused' | 'unanswered'): void {
    const { name, pool } = this.#primary
    if (how === 'refused') {
      // Only once: a connection that was made later has got through to it.
      if (!this.#wasCut) pool.cut()
    } else {
      pool.cutOff(unavailable(`'${name}' is the primary, and has not answered for ${SILENT_MS} ms.`))
    }
    this.#wasCut = true
  }
}

/**
 * Tells whether the sessions of a pool hear from their server, by how many bytes their sockets have read. This adds
 * nothing to the path of a query. A session that is only beginning does not count: a pooler greets it even if its
 * server is dead.
 */
export class SignsOfLife {
  readonly #pool: NodePool
  /** How many bytes each session had read. */
  #read = new Map<PoolClientLike, number>()
  #old = new Set<PoolClientLike>()

  constructor(pool: NodePool) {
    this.#pool = pool
  }

  /** Records how many bytes each session has read by now. */
  countBytes(): void {
    this.#read = new Map()
    for (const client of this.#pool.clients) {
      if (typeof client.processID === 'number') this.#read.set(client, readBy(client))
    }
  }

  /**
   * Whether one of them has read anything since. A session that has ended does not count: the last bytes that it got
   * are no sign of life.
   */
  get hasReadAny(): boolean {
    return this.#hasRead(this.#left())
  }

  /** The server answered: the current sessions lead to it. */
  rememberSessions(): void {
    this.#old = new Set(this.#pool.clients)
  }

  /**
   * Whether the sessions that led to the server when it last answered have read nothing since. If none of them is
   * left, this is about all sessions. A later connection may take another way.
   */
  get isSilent(): boolean {
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
