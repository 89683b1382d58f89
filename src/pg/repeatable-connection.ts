import { EventEmitter } from 'node:events'

/**
 * The part of `pg`'s `Connection` that a `Submittable` uses, and that can be repeated on another connection. Each
 * method sends one message.
 */
const MESSAGES = ['parse', 'bind', 'describe', 'execute', 'flush', 'sync', 'close', 'query'] as const
/** The events that a `Submittable` may listen to. */
const EVENTS = ['noData', 'rowDescription', 'end'] as const

export type ProtocolConnection = EventEmitter & {
  readonly stream?: unknown
} & Record<(typeof MESSAGES)[number], (...args: readonly unknown[]) => unknown>

/**
 * Takes the place of the connection that a `Submittable` gets. It passes each message on, and remembers it until the
 * first row has arrived. A cursor can be submitted only once. So if its node fails before that, the messages are sent
 * again on another connection.
 */
export class RepeatableConnection extends EventEmitter {
  readonly #sent: { readonly name: (typeof MESSAGES)[number]; readonly args: readonly unknown[] }[] = []
  #real: ProtocolConnection | undefined
  #isRecording = true
  #isOver = false
  #hasFailed = false
  /** Whether the `Submittable` was closed by its reader. */
  isClosed = false

  constructor() {
    super()
    // A `Submittable` may add any number of listeners.
    this.setMaxListeners(0)
  }

  /** Sends to this connection from now on. First it sends the remembered messages again. */
  attach(real: ProtocolConnection): void {
    this.detach()
    this.#real = real
    for (const event of EVENTS) real.on(event, this.#forward[event] as () => void)
    for (const { name, args } of this.#sent) real[name](...args)
  }

  /** From now on, messages are only remembered, for the connection that is attached next. */
  detach(): void {
    for (const event of EVENTS) this.#real?.off(event, this.#forward[event] as () => void)
    this.#real = undefined
  }

  /** No more of the answer comes. Each listener for its end is called, also one that is added later. */
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
   * The server sent an error, which has closed the portal. A second close, after the Sync, would get an answer that
   * the next statement takes for its own.
   */
  fail(): void {
    this.#hasFailed = true
  }

  /** One of the messages has failed. Sends the Sync that ends the answer, unless it was sent already. */
  endAnswer(): void {
    if (!this.#sent.some(({ name }) => name === 'sync' || name === 'query')) this.#real?.sync()
  }

  /** The socket, for a `Submittable` that reads it itself. */
  get stream(): unknown {
    return this.#real?.stream
  }

  readonly #forward = Object.fromEntries(
    EVENTS.map((event) => [event, (...args: unknown[]) => this.emit(event, ...args)]),
  ) as Readonly<Record<string, (...args: unknown[]) => void>>

  /** Sends a message now. While messages are remembered, it is sent again on the connection that is attached next. */
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
  Object.defineProperty(RepeatableConnection.prototype, name, {
    value(this: RepeatableConnection, ...args: unknown[]) {
      return this.send(name, args)
    },
  })
}
