import type { ServerResponse } from 'node:http'
import type { PinReason } from '../diagnostics.ts'
import { openRequestContext, type RoutingContext } from '../freshness/context.ts'
import { closeMemory, createMemory, type RequestMemory, type WriteKind } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import { hasOpenPositions, settlePositions } from '../freshness/written-positions.ts'
import {
  type BegunBy,
  type BegunPin,
  type JoiningEdge,
  pinnedUntil,
  type RouteName,
  reachedNothing,
  type WritePin,
  writePinOf,
} from './begun-pin.ts'
import { broughtPin, hasSeenMore, pinOfResponse } from './outgoing-pin.ts'
import type { LeavingRequest, RequestOwner, RequestStart } from './request-start.ts'
import { haveHeadersLeft, isOver, isSocket, whenHeadersLeave } from './response-state.ts'
import type { RequestPolicy, RouteMarks } from './route-marks.ts'

/** The stages of a request. */
type Stage =
  /** Nothing binds its reads, and its response will not pin. So nothing listens for its headers or its end. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'listening' }
  /** Its headers have left, with or without a pin. */
  | { readonly kind: 'answered'; readonly set: { readonly reason: PinReason; readonly pin: Pin } | undefined }

const IDLE: Stage = { kind: 'idle' }
const LISTENING: Stage = { kind: 'listening' }

/** One request between its first hook and its headers: its context, and whether its response pins. */
export class RequestPin implements BegunPin, LeavingRequest {
  readonly context: RoutingContext
  readonly #memory: RequestMemory
  readonly #start: RequestStart
  readonly #owner: RequestOwner
  #stage = IDLE
  #marks: RouteMarks | undefined
  #policy: RequestPolicy
  /** The edges that the request reached after the first, in their order. */
  #joined: JoiningEdge[] | undefined
  #carriedBy: PinReason
  /** How the request wrote for the first time, if that was before its headers left. */
  #wroteBy: WriteKind | undefined
  /** Whether a handler has run that `dbWrite()` marks as a write. */
  #ranDbWrite = false
  #onLateWrite: ((kind: WriteKind) => void) | undefined

  constructor(start: RequestStart, owner: RequestOwner) {
    this.#start = start
    this.#owner = owner
    this.#marks = start.marks
    this.#policy = start.policy
    const { brought, mayPin, memory } = start
    this.#carriedBy = brought.by
    this.#memory = createMemory(start.pinningMs, brought.pin, start.policy.isWrite, memory)
    this.#memory.readFrom = start.readFrom
    this.#memory.doubtUntilMs = brought.doubtUntilMs
    this.#memory.tooLongLived = brought.tooLongLived
    this.#memory.onWrite = (kind) => this.#wrote(kind)
    this.#memory.end = this
    this.#memory.affinityKey = start.affinityKey
    this.context = openRequestContext(this.#memory)
    // A socket sends no response headers. So its reads are fresh for as long as a pin lasts after each write.
    if (isSocket(start.response)) closeMemory(this.#memory)
    const mayHandOn = brought.pin !== undefined && mayPin
    if (start.policy.isWrite || start.mayHaveBody || memory.wantsSeen || mayHandOn) this.watch()
  }

  get writePin(): WritePin {
    const set = this.#stage.kind === 'answered' ? this.#stage.set : undefined
    if (set !== undefined) return pinnedUntil(set.pin.untilMs, set.reason)
    const reason = haveHeadersLeft(this.response) ? undefined : this.#reason
    return writePinOf(this.#memory, reason, this.#carriedBy)
  }

  /** The marks of its route, as far as they are known. */
  get marks(): RouteMarks | undefined {
    return this.#marks
  }

  get begunBy(): BegunBy {
    return this.#owner
  }

  get request(): unknown {
    return this.#start.request
  }

  get response(): ServerResponse {
    return this.#start.response
  }

  /** Its route, named by the last edge that found one. */
  get routeName(): RouteName {
    const found = this.#joined?.findLast((edge) => !edge.reachedNoRoute())
    return found === undefined ? this.#owner.routeOf(this.request) : found.routeName()
  }

  /** Adds an edge that continues with the request. */
  join(edge: JoiningEdge): void {
    this.#joined ??= []
    this.#joined.push(edge)
    if (edge.account !== undefined) this.#start.account?.addSource(edge.account)
  }

  /**
   * Decides again whether the request is a write, because its route was found only after it began. What it wrote
   * before still counts.
   */
  remark(method: string, marks: RouteMarks): void {
    this.#marks = marks
    this.#policy = this.#owner.policyOf(method, marks)
    this.#memory.writeRequest = this.#policy.isWrite || this.#ranDbWrite
    this.#memory.readFrom = this.#owner.readFromOf(marks)
    if (this.#policy.isWrite) this.watch()
  }

  /**
   * Makes the request's reads as fresh as its account demands, once the account is known; undefined if accounts are
   * not pinned. Never rejects.
   */
  bringAccountPin(): Promise<void> | undefined {
    return this.#start.account?.bringPin(this.#memory).then((pin) => {
      if (pin !== undefined) this.#carriedBy = 'account'
    })
  }

  /**
   * Waits, in a hook right before the headers leave, for the positions that the response's pin needs, or for the pin
   * store. It waits a moment at most. If a position is not known by then, the pin is a time pin. Undefined if no wait
   * is needed. Never rejects.
   */
  beforeHeaders(): Promise<void> | undefined {
    if (haveHeadersLeft(this.response)) return undefined
    this.#tellAccount()
    const { account } = this.#start
    if (account?.hasUnraisedWrite === true) return account.raise(this.#memory)
    return hasOpenPositions(this.#memory) ? settlePositions(this.#memory) : undefined
  }

  /**
   * Listens for the headers and the end of the request, from when something binds its reads, or its response may pin.
   *
   * The pin is decided when the headers leave, not in a hook of the framework. The last hook may still write (a
   * session store), and a response that bypasses the framework's hooks carries the pin too. After the headers, the
   * request's own reads are fresh for as long as a pin lasts, even if the request goes on longer (a stream, a timer).
   */
  watch(): void {
    if (this.#stage.kind !== 'idle') return
    this.#stage = LISTENING
    const { response } = this
    if (haveHeadersLeft(response) || isOver(response)) this.#end()
    else whenHeadersLeave(response, () => this.#headersLeave())
    if (!response.closed) response.once('close', () => this.#end())
  }

  /**
   * The response has closed. Its context must not keep the request alive. Node.js 20's own timers hold the context
   * for so long that collecting the request later costs more than all the rest of a GET.
   */
  closed(): void {
    if (this.#stage.kind !== 'idle') return
    this.#stage = LISTENING
    this.#end()
  }

  /** Why the response would pin if its headers left now; undefined if it would not. */
  get #reason(): PinReason | undefined {
    if (!this.#start.mayPin) return undefined
    const { pinReason } = this.#policy
    return pinReason !== undefined && !this.#reachedNoRoute ? pinReason : this.#wroteBy
  }

  get #reachedNoRoute(): boolean {
    if (!reachedNothing(this.#start.hasRoute(), this.response)) return false
    return this.#joined?.every((edge) => edge.reachedNoRoute()) ?? true
  }

  #wrote(kind: WriteKind): void {
    if (kind === 'db-write') {
      // The mark `dbWrite: false` of the route wins over `dbWrite()` around its handler.
      this.#ranDbWrite ||= this.#marks?.dbWrite !== false
      this.#memory.writeRequest = this.#policy.isWrite || this.#ranDbWrite
      if (!this.#ranDbWrite) return
    }
    const { response, account } = this.#start
    if (haveHeadersLeft(response)) this.#lateWrites?.(kind)
    else this.#wroteBy ??= kind
    this.watch()
    if (account === undefined) return
    account.wrote()
    // No response can carry this write any more, but the account's pin can.
    const isTooLate = haveHeadersLeft(response) || isOver(response) || isSocket(response)
    if (isTooLate) void account.raise(this.#memory)
  }

  /**
   * Tells the account if the request is a write by its method or marks. This is known only when the routers are done.
   */
  #tellAccount(): void {
    const { account } = this.#start
    if (account !== undefined && !account.hasWritten && this.#reason !== undefined) account.wrote()
  }

  get #lateWrites(): ((kind: WriteKind) => void) | undefined {
    if (this.#start.mayPin) this.#onLateWrite ??= this.#owner.lateWrites(this)
    return this.#onLateWrite
  }

  #headersLeave(): void {
    const { account } = this.#start
    this.#stage = { kind: 'answered', set: this.#setPin() }
    closeMemory(this.#memory)
    // No hook has waited for the account's pin: the framework has no such hook, or the response bypassed it.
    if (account?.hasUnraisedWrite === true) void account.raise(this.#memory)
  }

  /**
   * Sets the pin of the response. The request's writes are committed, so the response must leave even if this fails.
   */
  #setPin() {
    try {
      const written = this.#reason
      this.#tellAccount()
      const { mayPin } = this.#start
      const reason = written ?? (mayPin && hasSeenMore(this.#memory) ? 'read' : undefined)
      const pin = reason && pinOfResponse(this.#memory, written !== undefined)
      if (reason !== undefined && pin !== undefined) {
        return { reason, pin: this.#owner.setPin(this, reason, pin) }
      }
      if (mayPin) this.#owner.joinPins(this, broughtPin(this.#memory))
    } catch (error) {
      this.#owner.failed(this, error)
    }
    return undefined
  }

  /**
   * The response is over, or its client is gone. Work that began in the context (a pooled connection, a timer) may
   * keep the memory alive. So the memory drops its references to the request.
   */
  #end(): void {
    const { response, account } = this.#start
    const memory = this.#memory
    if (memory.freshUntilMs === Number.POSITIVE_INFINITY) closeMemory(memory)
    if (!isOver(response)) return
    // If the client went away earlier, the handler may still be at work. A socket has no response.
    if (response.writableEnded && !isSocket(response)) memory.answeredAtMs = Date.now()
    // If the client did not wait for the headers, no response could have carried a pin anyway. So late writes are not
    // reported.
    const onLateWrite = haveHeadersLeft(response) ? this.#lateWrites : undefined
    memory.onWrite = account === undefined ? onLateWrite : account.detachFromRequest(memory, onLateWrite)
    memory.affinityKey = undefined
    memory.end = undefined
  }
}
