import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { withResolvers } from './with-resolvers.ts'

/** A server behind a proxy. Every node of the test cluster is one. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** What holds for all connections of a proxy. */
export interface ProxyState {
  /** If defined, nothing goes through until it resolves. */
  gate: Promise<void> | undefined
  delayMs: number
  /** Cuts the first connection whose client sends this. */
  cut: Cut | undefined
}

interface Cut {
  readonly matches: (bytesFromClient: Buffer) => boolean
  readonly message: 'delivered' | 'lost'
  readonly onDone: () => void
}

/** One connection through a proxy: a client, and the server, to which it connects once the way is free. */
export class ProxyLink {
  /** Resolves when both sides are closed. */
  readonly ended: Promise<void>
  readonly #client: Socket
  readonly #state: ProxyState
  #server: Socket | undefined
  #isDestroyed = false
  #isSwallowed = false
  #onAnswer: (() => void) | undefined
  readonly #markEnded: () => void

  constructor(client: Socket, target: Target, state: ProxyState) {
    this.#client = client
    this.#state = state
    const { promise, resolve } = withResolvers<void>()
    this.ended = promise
    this.#markEnded = resolve
    client.on('error', () => {})
    this.#run(target)
  }

  /** Whether it has reached a server. Until then it may still get to another one. */
  get hasServer(): boolean {
    return this.#server !== undefined
  }

  /** Lets nothing through this connection any more, whatever happens to the others, and tells nobody. */
  swallow(): void {
    this.#isSwallowed = true
  }

  destroy(): void {
    this.#isDestroyed = true
    this.#client.destroy()
    this.#server?.destroy()
    this.#markEnded()
  }

  async #run(target: Target): Promise<void> {
    await this.#wayIsFree()
    if (this.#isDestroyed) return
    const server = connect({ ...addressOf(target), allowHalfOpen: true, noDelay: true })
    server.on('error', () => {})
    this.#server = server
    await Promise.all([this.#carryToServer(server), this.#carryToClient(server)])
    this.destroy()
  }

  async #carryToServer(server: Socket): Promise<void> {
    try {
      for await (const bytes of this.#client as AsyncIterable<Buffer>) {
        await this.#wayIsFree()
        const cut = this.#state.cut
        if (cut?.matches(bytes)) {
          this.#state.cut = undefined
          this.#cutAt(cut, bytes, server)
          return
        }
        await written(server, bytes)
      }
      server.end()
    } catch {
      this.destroy()
    }
  }

  async #carryToClient(server: Socket): Promise<void> {
    try {
      for await (const bytes of server as AsyncIterable<Buffer>) {
        if (this.#onAnswer !== undefined) break
        await this.#wayIsFree()
        await written(this.#client, bytes)
      }
      if (this.#onAnswer === undefined) this.#client.end()
    } catch {
      this.destroy()
    }
    this.#onAnswer?.()
  }

  /** The server's side stays open. A server that hears of the loss before it has read the message would not read it. */
  #cutAt({ message, onDone }: Cut, bytes: Buffer, server: Socket): void {
    if (message === 'lost') {
      this.destroy()
      onDone()
      return
    }
    this.#onAnswer = onDone
    this.#client.destroy()
    server.write(bytes)
  }

  async #wayIsFree(): Promise<void> {
    if (this.#state.delayMs > 0) await wait(this.#state.delayMs)
    while (this.#state.gate !== undefined) await this.#state.gate
    if (this.#isSwallowed) await this.ended
  }
}

function addressOf({ host, port }: Target): Target {
  return { host, port }
}

/** Writes, and waits until the other side has room for more. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}
