import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { freePort } from '../../src/testing/free-port.ts'
import { ProxyLink, type ProxyState, type Target } from './proxy-link.ts'
import { leaveUnanswered, type UnansweredPort } from './unanswered-port.ts'
import { withResolvers } from './with-resolvers.ts'

/**
 * A TCP proxy on 127.0.0.1 in front of one or several servers. It fails as networks do. It forwards until a test says
 * otherwise, and `forward()` heals it.
 * @example
 * await using proxy = await TcpProxy.start(cluster.primary)
 * const pool = new pg.Pool({ connectionString: proxy.connectionString })
 * await proxy.blackHole()
 */
export class TcpProxy implements AsyncDisposable {
  /** The same for as long as the proxy lives. */
  readonly port: number
  /** New connections go to these in turn. A test may change them at any time. Open connections stay where they are. */
  targets: Target[]
  /** How many connections it has accepted so far. */
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

  /** For `pg`, like that of a node of the test cluster. */
  get connectionString(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/test`
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#links.size
  }

  /** Lets everything through at once, also what a black hole held back. */
  async forward(): Promise<void> {
    this.#state.delayMs = 0
    this.#open()
    await this.#listen()
  }

  /**
   * Lets nothing through in either direction, and tells nobody. New connections are still made, as the kernel does
   * for a process that hangs, but they hear nothing. With `connects: 'unanswered'`, not even a connect is answered,
   * as when packets are dropped (Linux only).
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

  /** Refuses new connections. Open ones go on. */
  async refuse(): Promise<void> {
    await this.#closeListener()
    await this.#unanswered?.free()
    this.#unanswered = undefined
  }

  /** Swallows everything on the open connections, as a firewall that has forgotten them. New ones get through. */
  forget(): void {
    for (const link of this.#links) link.swallow()
  }

  /**
   * Ends both sides of all open connections without a word, and gives their number. With `waiting: false`, it leaves
   * connections that have not reached a server yet.
   */
  cut({ waiting = true }: { waiting?: boolean } = {}): number {
    const links = [...this.#links].filter((link) => waiting || link.hasServer)
    for (const link of links) link.destroy()
    return links.length
  }

  /** Delays every piece in each direction by this time. */
  slow(delayMs: number): void {
    this.#state.delayMs = delayMs
  }

  /**
   * Cuts one connection at its client's first message that matches. `'delivered'`: the server gets the message and
   * acts on it, and the client never hears. `'lost'`: the server never gets it. Resolves when that has happened and
   * the server has answered what it got.
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
    // A half-closed connection of the client is passed on half-closed.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
    this.#server = server
    server.listen({ port: this.port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
  }

  async #closeListener(): Promise<void> {
    // Not awaited, because open connections stay.
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
