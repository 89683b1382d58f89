import { EventEmitter } from 'node:events'

/** The part of `pg`'s `Connection` that a `Submittable` uses, and that can be done again on another: each sends one message. */
const MESSAGES = ['parse', 'bind', 'describe', 'execute', 'flush', 'sync', 'close', 'query'] as const
/** What it may hear. */
const EVENTS = ['noData', 'rowDescription', 'end'] as const

/** `pg`'s `Connection`. */
export type ProtocolConnection = EventEmitter & {
  readonly stream?: unknown
} & Record<(typeof MESSAGES)[number], (...args: readonly unknown[]) => unknown>

/**
 * Stands between a `Submittable` and the connection of the session that it is on, and remembers what was sent until the first row is
 * there: a cursor can be submitted once, and what it has sent is sent anew where its node fails it.
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
    // A cursor that is read from hears of each read.
    this.setMaxListeners(0)
  }

  /** From now on it speaks to this connection; what was sent to the one before is sent anew. */
  attach(real: ProtocolConnection): void {
    this.detach()
    this.#real = real
    for (const event of EVENTS) real.on(event, this.#forward[event] as () => void)
    for (const { name, args } of this.#sent) real[name](...args)
  }

  /** What is sent from now on goes nowhere, or to whatever it is attached to next. */
  detach(): void {
    for (const event of EVENTS) this.#real?.off(event, this.#forward[event] as () => void)
    this.#real = undefined
  }

  /** Nothing more comes: whoever waits for the end of the answer, now or later, has waited long enough. */
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

  /** Something was delivered: it cannot be done again any more. */
  stopRecording(): void {
    this.#isRecording = false
    this.#sent.length = 0
  }

  /** An error is there, which has closed its portal: closed once more, behind the Sync, that would be answered to the next statement. */
  fail(): void {
    this.#hasFailed = true
  }

  /** Ends the answer to messages of which one has failed, where nobody has done so. */
  endAnswer(): void {
    if (!this.#sent.some(({ name }) => name === 'sync' || name === 'query')) this.#real?.sync()
  }

  /** The socket, for what reads it by itself. */
  get stream(): unknown {
    return this.#real?.stream
  }

  readonly #forward = Object.fromEntries(
    EVENTS.map((event) => [event, (...args: unknown[]) => this.emit(event, ...args)]),
  ) as Readonly<Record<string, (...args: unknown[]) => void>>

  /** Sends a message, now and, as long as nothing was delivered, where it is attached to next. */
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
