import { addressesOf, alwaysAt, type Lookup } from './host.ts'
import type { Node } from './node.ts'
import type { NodeOptions } from './node-options.ts'
import type { ReplicaSet } from './replica-set.ts'
import { waitAtMost } from './running-time.ts'

/** How long the start waits for the first lookup of a name, in ms. */
const FIRST_LOOK_MS = 2_000
/** How long stopping waits for a lookup that is under way, in ms. */
const GRACE_MS = 250

/** Keeps one node for each address of a host name, as addresses come and go. */
export class Discovery {
  readonly #set: ReplicaSet
  readonly #names: readonly NodeOptions[]
  readonly #make: (options: NodeOptions, lookup: Lookup) => Node
  readonly #lookup: Lookup | undefined
  readonly #timers = new Set<NodeJS.Timeout>()
  /** The nodes of each name, by address. */
  readonly #found = new Map<NodeOptions, Map<string, Node>>()
  readonly #looking = new Set<Promise<void>>()
  #isStopped = false

  /** Each of `names` is the options for one host name. It gives as many nodes as that name has addresses. */
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

  /** Looks up each name now, and again after each interval. Waits for the first lookups, but not long. */
  async start(): Promise<void> {
    if (!this.isAny) return
    const looked = Promise.all(this.#names.map((options) => this.#keepLooking(options)))
    await waitAtMost(looked, FIRST_LOOK_MS)
  }

  /** Ends the lookups. Waits only briefly for a name server that does not answer. */
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

  /** Never throws. If the lookup fails, the name keeps the nodes that it has. */
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
      // The address of a promoted node drops out of the name of the replicas. The node stays: it is the primary now.
      if (addresses.includes(address) || node === this.#set.primary) continue
      found.delete(address)
      // What still runs there may end. This does not wait for it.
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
      // The next lookup tries again.
      found.delete(address)
      this.#set.reports.failed(node, 'other', error)
    }
  }
}

function ignore(): void {}
