import { isIP } from 'node:net'
import { addressesOf, hostOf, type Lookup } from './host.ts'
import type { Node } from './node.ts'

/** How often the nodes' host names are looked up, in ms. */
const INTERVAL_MS = 5_000

/**
 * Follows the names of nodes: where a name has another address for good (a failover by DNS), the connections to the old one
 * are replaced. The answers of a name that stands for several servers change all the time, and mean nothing.
 */
export class AddressWatch {
  readonly #set: { readonly nodes: readonly Node[] }
  readonly #lookup: Lookup | undefined
  /** What each node's name was last looked up as. */
  readonly #answers = new WeakMap<Node, string>()
  readonly #pending = new WeakSet<Node>()
  #timer: NodeJS.Timeout | undefined

  constructor(set: { readonly nodes: readonly Node[] }, lookup: Lookup | undefined) {
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
  }

  /** Never throws: a name that cannot be looked up now has the addresses that it had. */
  async #follow(node: Node): Promise<void> {
    const host = node.pool.pool === undefined ? undefined : hostOf(node.pool.pool)
    if (host === undefined || isIP(host) !== 0 || node.loadBalanced || node.isDiscovered) return
    // A resolver that hangs is not asked over and over.
    if (this.#pending.has(node)) return
    this.#pending.add(node)
    const addresses = await addressesOf(host, this.#lookup).catch(() => undefined)
    this.#pending.delete(node)
    if (addresses === undefined) return
    const answer = addresses.join()
    // One answer may be a slip; two alike are not.
    if (this.#answers.get(node) === answer) node.pool.follow(new Set(addresses))
    this.#answers.set(node, answer)
  }
}
