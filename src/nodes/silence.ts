import { type Node, unavailable } from './node.ts'
import type { NodePool } from './node-pool.ts'
import type { PoolClientLike } from './pool.ts'

/** How long nothing may be heard of a primary that is down until what is under way on it is given up, in ms. */
const PATIENCE_MS = 10_000

/**
 * For how long nothing has been heard of a primary: neither by its prober, nor on the sessions of its pool, which may go on where nobody
 * else gets in. There is nobody but the primary for what waits on it, so it is given up late; but not never.
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

  /** It was heard of. */
  end(): void {
    this.#sinceMs = undefined
    this.#wasCut = false
  }

  /** Its prober was refused a connection, or not answered; gives whether nobody else has heard of it either since the last time. */
  goesOn(how: 'refused' | 'unanswered'): boolean {
    const nowMs = performance.now()
    const isBroken = this.#sinceMs === undefined || this.#signs.isAny
    if (isBroken) this.#sinceMs = nowMs
    this.#signs.listen()
    const lastsMs = nowMs - (this.#sinceMs ?? nowMs)
    if (lastsMs > PATIENCE_MS && this.#primary.health === 'down') this.#giveUp(how)
    return !isBroken
  }

  /** Where new connections are refused, they fail by themselves. Where they are not answered, each would only add to those who wait. */
  #giveUp(how: 'refused' | 'unanswered'): void {
    const { name, pool } = this.#primary
    if (how === 'refused') {
      // Once: what is connected later has got through to it.
      if (!this.#wasCut) pool.cut()
    } else {
      pool.cutOff(unavailable(`'${name}' is the primary, and has not answered for ${PATIENCE_MS} ms.`))
    }
    this.#wasCut = true
  }
}

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

  /** Takes note of how much each session has read by now. */
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

  /** The server answered: the sessions of now lead to it. */
  wasWell(): void {
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
