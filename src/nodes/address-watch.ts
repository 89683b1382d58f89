import { isIP } from 'node:net'
import { addressesOf, hostOf, type Lookup } from './host.ts'
import type { Node } from './node.ts'
import type { PoolLike } from './pool.ts'

/** How often the nodes' host names are looked up, in ms. */
const INTERVAL_MS = 5_000

/** The nodes, and who is told that another server may be one of them by now. */
interface Followed {
  readonly nodes: readonly Node[]
  moved(node: Node): void
}

/**
 * Follows the names of nodes: where a name has another address for good (a failover by DNS), the connections to the old one
 * are replaced, and the server that is there now is the one that is watched. The answers of a name that stands for several servers
 * change all the time, and mean nothing.
 */
export class AddressWatch {
  readonly #set: Followed
  readonly #lookup: Lookup | undefined
  /** What each node's name was last looked up as. */
  readonly #answers = new WeakMap<Node, string>()
  readonly #pending = new WeakSet<Node>()
  #timer: NodeJS.Timeout | undefined

  constructor(set: Followed, lookup: Lookup | undefined) {
    this.#set = set
    this.#lookup = lookup
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      for (const node of this.#set.nodes) void this.#follow(node)
    }, INTERVAL_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Never throws: a name that cannot be looked up now has the addresses that it had. */
  async #follow(node: Node): Promise<void> {
    const host = node.pool.pool === undefined ? undefined : nameOf(node.pool.pool)
    if (host === undefined || node.loadBalanced || node.isDiscovered) return
    // A resolver that hangs is not asked over and over.
    if (this.#pending.has(node)) return
    this.#pending.add(node)
    const addresses = await addressesOf(host, this.#lookup).catch(() => undefined)
    this.#pending.delete(node)
    // By now nobody may watch any node any more.
    if (addresses === undefined || this.#timer === undefined) return
    const answer = addresses.join()
    // One answer may be a slip; two alike are not.
    if (this.#answers.get(node) === answer && node.pool.follow(new Set(addresses))) this.#set.moved(node)
    this.#answers.set(node, answer)
  }
}

/** The name that a pool's connections go by; undefined where there is none, or its own sockets (a tunnel's, say) go elsewhere. */
function nameOf(pool: PoolLike): string | undefined {
  const { stream } = (pool.options ?? {}) as { stream?: unknown }
  const host = stream === undefined ? hostOf(pool) : undefined
  return host === undefined || isIP(host) !== 0 ? undefined : host
}
