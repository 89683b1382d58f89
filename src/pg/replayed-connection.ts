import { EventEmitter } from 'node:events'

/**
 * The part of `pg`'s `Connection` that a `Submittable` uses, and that can be repeated on another connection. Each
 * method sends one message.
 */
const MESSAGES = ['parse', 'bind', 'describe', 'execute', 'flush', 'sync', 'close', 'query'] as const
/** The events that a `Submittable` may hear. */
const EVENTS = ['noData', 'rowDescription', 'end'] as const

export type ProtocolConnection = EventEmitter & {
  readonly stream?: unknown
} & Record<(typeof MESSAGES)[number], (...args: readonly unknown[]) => unknown>

/**
 * Stands between a `Submittable` and the connection of its session. It remembers what was sent until the first row has
 * arrived. A cursor can be submitted only once. So if its node fails it, its messages are sent again on another
 * connection.
 */
export class ReplayedConnection extends EventEmitter {
  readonly #sent: { readonly name: (typeof MESSAGES)[number]; readonly args: readonly unknown[] }[] = []
  #real: ProtocolConnection | undefined
  #isRecording = true
  #isOver = false
  #hasFailed = false
  /** Whether its reader has left. */
  isClosed = false

  constructor() {
    super()
    // A `Submittable` may add any number of listeners.
    this.setMaxListeners(0)
  }

  /** Speaks to this connection from now on. What was sent to the one before is sent again. */
  attach(real: ProtocolConnection): void {
    this.detach()
    this.#real = real
    for (const event of EVENTS) real.on(event, this.#forward[event] as () => void)
    for (const { name, args } of this.#sent) real[name](...args)
  }

  /** From now on, messages go nowhere, or to the connection that is attached next. */
  detach(): void {
    for (const event of EVENTS) this.#real?.off(event, this.#forward[event] as () => void)
    this.#real = undefined
  }

  /** Nothing more comes. Everybody who waits for the end of the answer, now or later, gets it. */
  end(): void {
    this.detach()
    this.#isOver = true
    this.emit('readyForQuery')
  }

  override once(event: string, listener: (...args: unknown[]) => void): this {
    if (!this.#isOver || event !== 'readyForQuery') return super.once(event, listener)
    setImmediate(listener)
    return this
  }

  /** A part of the answer was handed out, so nothing can be sent again. */
  stopRecording(): void {
    this.#isRecording = false
    this.#sent.length = 0
  }

  /**
   * The server sent an error, which has closed the portal. To close it again, after the Sync, would give an answer that
   * the next statement takes for its own.
   */
  fail(): void {
    this.#hasFailed = true
  }

  /** Ends the answer to messages of which one has failed, if nobody has ended it. */
  endAnswer(): void {
    if (!this.#sent.some(({ name }) => name === 'sync' || name === 'query')) this.#real?.sync()
  }

  /** The socket, for those that read it themselves. */
  get stream(): unknown {
    return this.#real?.stream
  }

  readonly #forward = Object.fromEntries(
    EVENTS.map((event) => [event, (...args: unknown[]) => this.emit(event, ...args)]),
  ) as Readonly<Record<string, (...args: unknown[]) => void>>

  /** Sends a message now. Until something was handed out, it is also sent on the connection that is attached next. */
  send(name: (typeof MESSAGES)[number], args: readonly unknown[]): unknown {
    if (this.#isRecording) this.#sent.push({ name, args })
    if (name === 'close') {
      this.isClosed = true
      if (this.#hasFailed) return undefined
    }
    return this.#real?.[name](...args)
  }
}

for (const name of MESSAGES) {
  Object.defineProperty(ReplayedConnection.prototype, name, {
    value(this: ReplayedConnection, ...args: unknown[]) {
      return this.send(name, args)
    },
  })
}
