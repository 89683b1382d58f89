import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { freePort } from '../../src/testing/free-port.ts'
import { ProxyLink, type ProxyState, type Target } from './proxy-link.ts'
import { leaveUnanswered, type UnansweredPort } from './unanswered-port.ts'
import { withResolvers } from './with-resolvers.ts'

/**
 * A TCP proxy on 127.0.0.1 before one or several servers, which fails as networks do. It forwards until it is told
 * otherwise, and `forward()` heals it.
 *
 * @example
 * await using proxy = await TcpProxy.start(cluster.primary)
 * const pool = new pg.Pool({ connectionString: proxy.connectionString })
 * await proxy.blackHole()
 */
export class TcpProxy implements AsyncDisposable {
  /** The same for as long as the proxy lives. */
  readonly port: number
  /** New connections go to these in turn; may be changed at any time, and open ones stay where they are. */
  targets: Target[]
  /** How many connections were made to it so far. */
  accepted = 0
  readonly #links = new Set<ProxyLink>()
  readonly #state: ProxyState = { gate: undefined, delayMs: 0, cut: undefined }
  #openGate: (() => void) | undefined
  #server: Server | undefined
  #unanswered: UnansweredPort | undefined

  static async start(...targets: Target[]): Promise<TcpProxy> {
    const proxy = new TcpProxy(await freePort(), targets)
    await proxy.#listen()
    return proxy
  }

  private constructor(port: number, targets: Target[]) {
    this.port = port
    this.targets = targets
  }

  /** For `pg`, as a node of the test cluster has one. */
  get connectionString(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/test`
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#links.size
  }

  /** Everything goes through, at once; what a black hole held back as well. */
  async forward(): Promise<void> {
    this.#state.delayMs = 0
    this.#open()
    await this.#listen()
  }

  /**
   * Nothing goes through in either direction, and nobody is told. A new connection is made, as the kernel does for a
   * process that hangs, and never hears anything; with `connects: 'unanswered'` not even the connect ends, as where
   * packets are dropped (Linux only).
   */
  async blackHole({ connects = 'accepted' }: { connects?: 'accepted' | 'unanswered' } = {}): Promise<void> {
    if (this.#state.gate === undefined) {
      const { promise, resolve } = withResolvers<void>()
      this.#state.gate = promise
      this.#openGate = resolve
    }
    if (connects === 'accepted') return this.#listen()
    await this.#closeListener()
    this.#unanswered ??= await leaveUnanswered(this.port)
  }

  /** New connections are refused; open ones go on. */
  async refuse(): Promise<void> {
    await this.#closeListener()
    await this.#unanswered?.free()
    this.#unanswered = undefined
  }

  /** Swallows what goes over the connections that are open, as a firewall that has forgotten them; new ones get through. */
  forget(): void {
    for (const link of this.#links) link.swallow()
  }

  /**
   * Ends all open connections, both sides, without a word; gives how many. With `waiting: false` it leaves those that have not got
   * through to a server yet.
   */
  cut({ waiting = true }: { waiting?: boolean } = {}): number {
    const links = [...this.#links].filter((link) => waiting || link.hasServer)
    for (const link of links) link.destroy()
    return links.length
  }

  /** Every piece takes so many milliseconds in each direction. */
  slow(delayMs: number): void {
    this.#state.delayMs = delayMs
  }

  /**
   * Cuts one connection at the first message of its client's that matches: `'delivered'`, the server gets it and does it,
   * and the client never hears; `'lost'`, the server never gets it. Resolves when that has happened, and the server
   * has answered what it got.
   */
  cutWhen(
    matches: (bytesFromClient: Buffer) => boolean,
    message: 'delivered' | 'lost' = 'delivered',
  ): Promise<void> {
    const { promise, resolve } = withResolvers<void>()
    this.#state.cut = { matches, message, onDone: resolve }
    return promise
  }

  /** Ends the proxy and all its connections. */
  async stop(): Promise<void> {
    await this.refuse()
    this.cut()
    this.#open()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #open(): void {
    this.#state.gate = undefined
    this.#openGate?.()
    this.#openGate = undefined
  }

  async #listen(): Promise<void> {
    if (this.#server !== undefined) return
    await this.#unanswered?.free()
    this.#unanswered = undefined
    // The client's half-closed connection is passed on as such.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
    this.#server = server
    server.listen({ port: this.port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
  }

  async #closeListener(): Promise<void> {
    // Its connections stay open, so that it is not waited for.
    this.#server?.close()
    this.#server = undefined
  }

  #accept(client: Socket): void {
    const target = this.targets[this.accepted++ % this.targets.length]
    if (target === undefined) {
      client.destroy()
      return
    }
    const link = new ProxyLink(client, target, this.#state)
    this.#links.add(link)
    link.ended.then(() => this.#links.delete(link))
  }
}
