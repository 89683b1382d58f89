import { isIP } from 'node:net'
import { addressesOf, alwaysAt, hostOf, type Lookup } from './host.ts'
import type { Node } from './node.ts'
import type { NodeOptions } from './node-options.ts'
import { waitAtMost } from './patience.ts'
import type { PoolLike } from './pool.ts'
import type { ReplicaSet } from './replica-set.ts'

/** How often the nodes' host names are looked up, in ms. */
const INTERVAL_MS = 5_000
/** How long the first look at a name may hold up the start, in ms. */
const FIRST_LOOK_MS = 2_000
/** How long a look that is under way may take to end, when all ends, in ms. */
const GRACE_MS = 250

/** Keeps a node for each address that a host name has, as they come and go. */
export class Discovery {
  readonly #set: ReplicaSet
  readonly #names: readonly NodeOptions[]
  readonly #make: (options: NodeOptions, lookup: Lookup) => Node
  readonly #lookup: Lookup | undefined
  readonly #timers = new Set<NodeJS.Timeout>()
  /** The nodes of each name, by their address. */
  readonly #found = new Map<NodeOptions, Map<string, Node>>()
  readonly #looking = new Set<Promise<void>>()
  #isStopped = false

  /** `names` are the nodes' options; each of them stands for as many as its name has addresses. */
  constructor(
    set: ReplicaSet,
    names: readonly NodeOptions[],
    make: (options: NodeOptions, lookup: Lookup) => Node,
    lookup: Lookup | undefined,
  ) {
    this.#set = set
    this.#names = names
    this.#make = make
    this.#lookup = lookup
  }

  /** Whether there is any name to look up. */
  get isAny(): boolean {
    return this.#names.length > 0
  }

  /** Looks each name up, and again from time to time. */
  async start(): Promise<void> {
    if (!this.isAny) return
    const looked = Promise.all(this.#names.map((options) => this.#keepLooking(options)))
    await waitAtMost(looked, FIRST_LOOK_MS)
  }

  /** Ends it; a name server that does not answer is not waited for. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    if (this.#looking.size > 0) await waitAtMost(Promise.all(this.#looking), GRACE_MS)
  }

  async #keepLooking(options: NodeOptions): Promise<void> {
    const looking = this.#look(options)
    this.#looking.add(looking)
    await looking
    this.#looking.delete(looking)
    if (this.#isStopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void this.#keepLooking(options)
    }, options.discover?.intervalMs).unref()
    this.#timers.add(timer)
  }

  /** Never throws: a name that cannot be looked up now keeps the nodes that it had. */
  async #look(options: NodeOptions): Promise<void> {
    const found = this.#found.get(options) ?? new Map<string, Node>()
    this.#found.set(options, found)
    const addresses = await addressesOf(options.discover?.host ?? '', this.#lookup).catch(
      (error: unknown) => {
        if (found.size === 0) this.#set.reports.notLookedUp(options, error)
        return undefined
      },
    )
    if (addresses === undefined || this.#isStopped) return
    this.#set.reports.lookedUp(options)
    for (const [address, node] of found) {
      // One that was promoted leaves the name of the replicas, and is the primary all the same.
      if (addresses.includes(address) || node === this.#set.primary) continue
      found.delete(address)
      // What still runs there may end; nobody has to wait for it.
      this.#set.remove(node).catch(ignore)
    }
    await Promise.all(addresses.map((address) => this.#add(options, address, found)))
  }

  async #add(options: NodeOptions, address: string, found: Map<string, Node>): Promise<void> {
    if (found.has(address)) return
    const node = this.#make({ ...options, name: `${options.name}-${address}` }, alwaysAt(address))
    found.set(address, node)
    try {
      await this.#set.add(node)
    } catch (error) {
      // The next look tries again.
      found.delete(address)
      this.#set.reports.failed(node, 'other', error)
    }
  }
}

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

function ignore(): void {}
