import type { ServerResponse } from 'node:http'
import onHeaders from 'on-headers'
import type { PinReason } from '../diagnostics.ts'
import { openRequestContext, type RoutingContext } from '../routing/context.ts'
import { closeMemory, createMemory, type RequestMemory } from '../routing/memory.ts'
import type { Requirement } from '../routing/requirement.ts'
import type { Pin } from './pin.ts'
import type { RequestPolicy } from './policy.ts'

/** What a request knows of its pin at this moment; a write later in the request changes it. */
export interface WritePin {
  /** Whether the user agent carries a pin, or will with this response. */
  readonly pinned: boolean
  /** Why; undefined where not pinned. */
  readonly reason: PinReason | undefined
  /** Until when, as it stands; undefined where not pinned. */
  readonly until: Date | undefined
}

/** What {@link RequestPin} needs to know about one request. */
export interface RequestStart {
  readonly policy: RequestPolicy
  readonly pinningMs: number
  /** The pin that the user agent brought. */
  readonly carried: Pin | undefined
  /** The requirement of the route's `readFrom`. */
  readonly readFrom: Requirement | undefined
  /** False for a skipped request, which sets no pin. */
  readonly mayPin: boolean
  /** Whether the method is one that brings a body, which must not be kept longer than its request. */
  readonly mayHaveBody: boolean
  readonly response: ServerResponse
}

/** One request between its first hook and its headers: the context it runs in, and whether its response pins. */
export class RequestPin {
  readonly context: RoutingContext
  readonly #memory: RequestMemory
  readonly #start: RequestStart
  readonly #setPin: (reason: PinReason) => Pin
  #reason: PinReason | undefined
  #set: Pin | undefined
  #watched = false

  /** `setPin` is called once, as the headers of a response that pins are about to leave. */
  constructor(start: RequestStart, setPin: (reason: PinReason) => Pin) {
    this.#start = start
    this.#setPin = setPin
    this.#memory = createMemory(start.pinningMs, start.carried?.untilMs ?? 0, start.policy.isWrite)
    this.#memory.onWrite = (kind) => this.#wrote(kind)
    this.context = openRequestContext(this.#memory, start.readFrom)
    if (start.policy.isWrite || start.mayHaveBody) this.#watchEnd()
    if (start.policy.pinReason !== undefined) this.#pinResponse(start.policy.pinReason)
  }

  /** The pin as it stands. */
  get writePin(): WritePin {
    const { pinnedUntilMs, pinningMs } = this.#memory
    if (this.#reason !== undefined) {
      const untilMs = this.#set?.untilMs ?? Date.now() + pinningMs
      return { pinned: true, reason: this.#reason, until: new Date(untilMs) }
    }
    if (pinnedUntilMs > Date.now()) return { pinned: true, reason: 'cookie', until: new Date(pinnedUntilMs) }
    return UNPINNED
  }

  #wrote(kind: PinReason): void {
    this.#watchEnd()
    this.#pinResponse(kind)
  }

  #pinResponse(reason: PinReason): void {
    const { mayPin, response } = this.#start
    if (mayPin && !response.headersSent) this.#reason ??= reason
  }

  /**
   * The pin is decided as the headers leave, not in a hook of the framework's: whatever hook comes last may
   * still write (a session store), and a response that bypasses the framework's hooks carries it too. From then on the
   * request's own reads are fresh for as long as a pin lasts, however long it goes on (a stream, a timer).
   */
  #watchEnd(): void {
    if (this.#watched) return
    this.#watched = true
    const { response } = this.#start
    if (response.headersSent || response.closed || response.destroyed) {
      this.#end()
      return
    }
    onHeaders(response, () => {
      if (this.#reason !== undefined) this.#set = this.#setPin(this.#reason)
      closeMemory(this.#memory)
    })
    response.once('close', () => this.#end())
  }

  /**
   * The response is over, or its client is gone. The memory may live on in whatever was begun in the context (a pooled
   * connection, a timer), so it lets go of the request.
   */
  #end(): void {
    if (this.#memory.freshUntilMs === Number.POSITIVE_INFINITY) closeMemory(this.#memory)
    if (this.#start.response.closed || this.#start.response.destroyed) this.#memory.onWrite = undefined
  }
}

/** The pin of a request that brought none and has not written. */
export const UNPINNED: WritePin = { pinned: false, reason: undefined, until: undefined }
