import type { ServerResponse } from 'node:http'
import onHeaders from 'on-headers'
import type { PinReason } from '../diagnostics.ts'
import { openRequestContext, type RoutingContext } from '../routing/context.ts'
import { closeMemory, createMemory, type MemorySettings, type RequestMemory } from '../routing/memory.ts'
import type { Pin } from '../routing/pin.ts'
import type { Requirement } from '../routing/requirement.ts'
import type { AccountPin } from './account-pin.ts'
import { hasOpenPositions, settlePositions } from './open-positions.ts'
import { hasSeenMore, pinOfResponse } from './pin-of-memory.ts'
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
  /** The pin that the client brought, and how. */
  readonly carried: Pin | undefined
  readonly carriedBy: PinReason
  /** The requirement of the route's `readFrom`. */
  readonly readFrom: Requirement | undefined
  /** False for a skipped request, which sets no pin. */
  readonly mayPin: boolean
  /** Whether the method is one that brings a body, which must not be kept longer than its request. */
  readonly mayHaveBody: boolean
  readonly response: ServerResponse
  /** What is wanted of its memory. */
  readonly memory: MemorySettings
  readonly account: AccountPin | undefined
}

/** One request between its first hook and its headers: the context it runs in, and whether its response pins. */
export class RequestPin {
  readonly context: RoutingContext
  readonly #memory: RequestMemory
  readonly #start: RequestStart
  readonly #setPin: (reason: PinReason, pin: Pin) => void
  #carriedBy: PinReason
  #reason: PinReason | undefined
  #set: Pin | undefined
  #watched = false

  /** `setPin` is called once, as the headers of a response that pins are about to leave. */
  constructor(start: RequestStart, setPin: (reason: PinReason, pin: Pin) => void) {
    this.#start = start
    this.#setPin = setPin
    this.#carriedBy = start.carriedBy
    this.#memory = createMemory(start.pinningMs, start.carried, start.policy.isWrite, start.memory)
    this.#memory.onWrite = (kind) => this.#wrote(kind)
    this.context = openRequestContext(this.#memory, start.readFrom)
    if (start.policy.isWrite || start.mayHaveBody || start.memory.wantsSeen) this.#watchEnd()
    if (start.policy.pinReason !== undefined) this.#pinResponse(start.policy.pinReason)
  }

  /** Has the request keep to one replica, as others with the key that `ask` gives; it is asked until it gives one. */
  keepTo(ask: () => string | undefined): void {
    let key: string | undefined
    this.#memory.affinityKey = () => {
      key ??= ask()
      return key
    }
  }

  /** The pin as it stands. */
  get writePin(): WritePin {
    const { carried, pinningMs } = this.#memory
    if (this.#reason !== undefined) {
      const untilMs = this.#set?.untilMs ?? Date.now() + pinningMs
      return { pinned: true, reason: this.#reason, until: new Date(untilMs) }
    }
    if (carried !== undefined && carried.untilMs > Date.now()) {
      return { pinned: true, reason: this.#carriedBy, until: new Date(carried.untilMs) }
    }
    return UNPINNED
  }

  /**
   * Makes the request's reads as fresh as its account demands, for a hook that runs right before the handler; undefined
   * where there is nothing to wait for. Never rejects.
   */
  bringAccountPin(): Promise<void> | undefined {
    return this.#start.account?.bring(this.#memory).then((pin) => {
      if (pin !== undefined) this.#carriedBy = 'account'
    })
  }

  /**
   * Waits for what the response's pin still needs, for a hook that runs right before the headers leave: a moment at
   * most, and then it is a time pin. Undefined where there is nothing to wait for; never rejects.
   */
  beforeHeaders(): Promise<void> | undefined {
    const { account, response } = this.#start
    if (response.headersSent) return undefined
    return account?.isBehind === true || hasOpenPositions(this.#memory) ? this.#settle() : undefined
  }

  async #settle(): Promise<void> {
    await settlePositions(this.#memory)
    await this.#start.account?.raise(this.#memory)
  }

  #wrote(kind: PinReason): void {
    this.#watchEnd()
    this.#pinResponse(kind)
    // No response can carry it any more, but the account's pin can.
    if (this.#start.response.headersSent && this.#start.account?.isBehind === true) void this.#settle()
  }

  #pinResponse(reason: PinReason): void {
    const { mayPin, response, account } = this.#start
    if (!mayPin) return
    account?.wrote()
    if (!response.headersSent) this.#reason ??= reason
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
      this.#pinNow()
      closeMemory(this.#memory)
    })
    response.once('close', () => this.#end())
  }

  #pinNow(): void {
    if (this.#reason === undefined && this.#start.mayPin && hasSeenMore(this.#memory)) this.#reason = 'read'
    if (this.#reason === undefined) return
    this.#set = pinOfResponse(this.#memory, this.#reason !== 'read')
    if (this.#set !== undefined) this.#setPin(this.#reason, this.#set)
    // Where no hook held the response up.
    if (this.#start.account?.isBehind === true) void this.#settle()
  }

  /**
   * The response is over, or its client is gone. The memory may live on in whatever was begun in the context (a pooled
   * connection, a timer), so it lets go of the request.
   */
  #end(): void {
    if (this.#memory.freshUntilMs === Number.POSITIVE_INFINITY) closeMemory(this.#memory)
    if (this.#start.response.closed || this.#start.response.destroyed) {
      this.#memory.onWrite = undefined
      this.#memory.affinityKey = undefined
    }
  }
}

/** The pin of a request that brought none and has not written. */
export const UNPINNED: WritePin = { pinned: false, reason: undefined, until: undefined }
