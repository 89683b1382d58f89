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

/** How far a request has come. */
type Stage =
  /** Nothing binds its reads, and its response will not pin: nobody looks out for its headers, or its end. */
  | { readonly kind: 'unwatched' }
  | { readonly kind: 'watched' }
  /** Its headers have left, with a pin or without. */
  | { readonly kind: 'answered'; readonly set: { readonly reason: PinReason; readonly pin: Pin } | undefined }

const UNWATCHED: Stage = { kind: 'unwatched' }
const WATCHED: Stage = { kind: 'watched' }

/** One request between its first hook and its headers: the context it runs in, and whether its response pins. */
export class RequestPin implements BegunPin, LeavingRequest {
  readonly context: RoutingContext
  readonly #memory: RequestMemory
  readonly #start: RequestStart
  readonly #owner: RequestOwner
  #stage = UNWATCHED
  #marks: RouteMarks | undefined
  #policy: RequestPolicy
  /** The edges that the request came to after the first, in their order. */
  #joined: JoiningEdge[] | undefined
  #carriedBy: PinReason
  /** How it came to write first, before its headers left. */
  #wroteBy: WriteKind | undefined
  /** Whether a handler ran that `dbWrite()` makes a write. */
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
    this.#memory.beyond = brought.beyond
    this.#memory.onWrite = (kind) => this.#wrote(kind)
    this.#memory.end = this
    this.#memory.affinityKey = start.affinityKey
    this.context = openRequestContext(this.#memory)
    // No headers will ever leave, so its reads are fresh for as long after each write as a pin lasts.
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

  /** What is said of its route, as far as that is known. */
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

  /** Its route, as the last edge that has found one names it. */
  get routeName(): RouteName {
    const found = this.#joined?.findLast((edge) => !edge.reachedNoRoute())
    return found === undefined ? this.#owner.routeOf(this.request) : found.routeName()
  }

  /** Another edge goes on with the request. */
  join(edge: JoiningEdge): void {
    this.#joined ??= []
    this.#joined.push(edge)
    if (edge.account !== undefined) this.#start.account?.alsoAsk(edge.account)
  }

  /** Decides anew what the request is, where its route is found only after it has begun. What it wrote stays written. */
  remark(method: string, marks: RouteMarks): void {
    this.#marks = marks
    this.#policy = this.#owner.policyOf(method, marks)
    this.#memory.writeRequest = this.#policy.isWrite || this.#ranDbWrite
    this.#memory.readFrom = this.#owner.readFromOf(marks)
    if (this.#policy.isWrite) this.watch()
  }

  /**
   * Makes the request's reads as fresh as its account demands, once somebody knows whose it is; undefined where there is nothing
   * to wait for. Never rejects.
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
    if (haveHeadersLeft(this.response)) return undefined
    this.#tellAccount()
    const { account } = this.#start
    if (account?.isBehind === true) return account.raise(this.#memory)
    return hasOpenPositions(this.#memory) ? settlePositions(this.#memory) : undefined
  }

  /**
   * Watches for the end of the request, once something binds its reads, or its response may pin.
   *
   * The pin is decided as the headers leave, not in a hook of the framework's: whatever hook comes last may
   * still write (a session store), and a response that bypasses the framework's hooks carries it too. From then on the
   * request's own reads are fresh for as long as a pin lasts, however long it goes on (a stream, a timer).
   */
  watch(): void {
    if (this.#stage.kind !== 'unwatched') return
    this.#stage = WATCHED
    const { response } = this
    if (haveHeadersLeft(response) || isOver(response)) this.#end()
    else whenHeadersLeave(response, () => this.#headersLeave())
    if (!response.closed) response.once('close', () => this.#end())
  }

  /**
   * The response has closed. Whatever still runs in the context keeps nothing of the request: not least Node.js 20's own timers,
   * which would make it live so long that collecting it costs more than all the rest of a GET.
   */
  closed(): void {
    if (this.#stage.kind !== 'unwatched') return
    this.#stage = WATCHED
    this.#end()
  }

  /** Why the response pins, if its headers left now. */
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
      // A mark of the route wins over `dbWrite()` around its handler.
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
    // No response can carry it any more, but the account's pin can.
    const isTooLate = haveHeadersLeft(response) || isOver(response) || isSocket(response)
    if (isTooLate) void account.raise(this.#memory)
  }

  /** What a request is by its method or its route's marks is known only when its way is over. */
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
    // Where no hook held the response up.
    if (account?.isBehind === true) void account.raise(this.#memory)
  }

  /** What the request wrote is committed: whatever happens here, its response must leave. */
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
   * The response is over, or its client is gone. The memory may live on in whatever was begun in the context (a pooled
   * connection, a timer), so it lets go of the request.
   */
  #end(): void {
    const { response, account } = this.#start
    const memory = this.#memory
    if (memory.freshUntilMs === Number.POSITIVE_INFINITY) closeMemory(memory)
    if (!isOver(response)) return
    // Where its client went away before, the handler may be at work yet; a socket has no response.
    if (response.writableEnded && !isSocket(response)) memory.answeredAtMs = Date.now()
    // A response that its client did not wait for could not have carried a pin anyway.
    const onLateWrite = haveHeadersLeft(response) ? this.#lateWrites : undefined
    memory.onWrite = account === undefined ? onLateWrite : account.outlive(memory, onLateWrite)
    memory.affinityKey = undefined
    memory.end = undefined
  }
}
