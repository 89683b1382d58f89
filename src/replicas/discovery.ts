import { warn } from '../diagnostics.ts'
import { addressesOf, alwaysAt, type Lookup } from './host.ts'
import type { NodeOptions } from './node-options.ts'
import type { Member, ReplicaSet } from './replica-set.ts'

/** How long the first look at a name may hold up the start, in ms. */
const FIRST_LOOK_MS = 2_000

/** Keeps a node for each address that a host name has, as they come and go. */
export class Discovery<N extends Member> {
  readonly #set: ReplicaSet<N>
  readonly #names: readonly NodeOptions[]
  readonly #make: (options: NodeOptions, lookup: Lookup) => N
  readonly #lookup: Lookup | undefined
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #found = new Map<string, N>()
  #isStopped = false
  #looking: Promise<unknown> = Promise.resolve()

  /** `names` are the nodes' options; each of them stands for as many as its name has addresses. */
  constructor(
    set: ReplicaSet<N>,
    names: readonly NodeOptions[],
    make: (options: NodeOptions, lookup: Lookup) => N,
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
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, FIRST_LOOK_MS)
    })
    await Promise.race([looked, late])
    clearTimeout(timer)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    await this.#looking
  }

  async #keepLooking(options: NodeOptions): Promise<void> {
    const looking = this.#look(options)
    this.#looking = Promise.all([this.#looking, looking])
    await looking
    if (this.#isStopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void this.#keepLooking(options)
    }, options.discover?.intervalMs).unref()
    this.#timers.add(timer)
  }

  /** Never throws: a name that cannot be looked up now keeps the nodes that it had. */
  async #look(options: NodeOptions): Promise<void> {
    const host = options.discover?.host ?? ''
    const addresses = await addressesOf(host, this.#lookup).catch((error: unknown) => {
      const { code, message } = error as { code?: string; message?: string }
      if (this.#found.size === 0) {
        warn(
          'WRITE_PINNING_DISCOVER',
          `Cluster '${this.#set.name}': '${host}' cannot be looked up (${code ?? message}), so there are no replicas of that name.`,
        )
      }
      return undefined
    })
    if (addresses === undefined || this.#isStopped) return
    const names = new Set(addresses.map((address) => `${options.name}-${address}`))
    for (const [name, node] of this.#found) {
      if (names.has(name) || !name.startsWith(`${options.name}-`)) continue
      this.#found.delete(name)
      // What still runs there may end; nobody has to wait for it.
      this.#set.remove(node).catch(ignore)
    }
    await Promise.all(addresses.map((address) => this.#add(options, address)))
  }

  async #add(options: NodeOptions, address: string): Promise<void> {
    const name = `${options.name}-${address}`
    if (this.#found.has(name)) return
    const node = this.#make({ ...options, name }, alwaysAt(address))
    this.#found.set(name, node)
    await this.#set.add(node)
  }
}

function ignore(): void {}
