import { isIP } from 'node:net'
import { addressesOf, hostOf, type Lookup } from './host.ts'
import type { Node } from './node.ts'
import type { PoolLike } from './pool.ts'

/** How often the host names of nodes are looked up, in ms. */
const INTERVAL_MS = 5_000

/** The nodes that are followed. `moved()` is called if a node's name leads to another server. */
interface Followed {
  readonly nodes: readonly Node[]
  moved(node: Node): void
}

/**
 * Follows the host names of nodes. When a name has another address for good (a failover by DNS), the connections to
 * the old address are replaced, and the watcher asks the server at the new one. The answers of a name that stands for
 * several servers change all the time and mean nothing, so such names are left out.
 */
export class AddressWatch {
  readonly #set: Followed
  readonly #lookup: Lookup | undefined
  /** The last answer for each node's name: its addresses, joined. */
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

  /** Never throws. If the lookup fails, nothing changes. */
  async #follow(node: Node): Promise<void> {
    const host = node.pool.pool === undefined ? undefined : nameOf(node.pool.pool)
    if (host === undefined || node.loadBalanced || node.isDiscovered) return
    // If a resolver hangs, do not ask it over and over.
    if (this.#pending.has(node)) return
    this.#pending.add(node)
    const addresses = await addressesOf(host, this.#lookup).catch(() => undefined)
    this.#pending.delete(node)
    // Everything may have been stopped meanwhile.
    if (addresses === undefined || this.#timer === undefined) return
    const answer = addresses.join()
    // One odd answer may be a slip. The same answer twice in a row is not.
    if (this.#answers.get(node) === answer && node.pool.follow(new Set(addresses))) this.#set.moved(node)
    this.#answers.set(node, answer)
  }
}

/**
 * The host name that a pool's connections use; undefined if it has none, or if it makes its own sockets (to a tunnel,
 * for example).
 */
function nameOf(pool: PoolLike): string | undefined {
  const { stream } = (pool.options ?? {}) as { stream?: unknown }
  const host = stream === undefined ? hostOf(pool) : undefined
  return host === undefined || isIP(host) !== 0 ? undefined : host
}
