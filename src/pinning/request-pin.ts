import type { ServerResponse } from 'node:http'
import type { PinReason } from '../diagnostics.ts'
import { openRequestContext, type RoutingContext } from '../freshness/context.ts'
import {
  closeMemory,
  createMemory,
  type MemorySettings,
  type RequestMemory,
  type WriteKind,
} from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import type { Requirement } from '../freshness/requirement.ts'
import type { AccountPin } from './account-pin.ts'
import {
  type BegunBy,
  type BegunPin,
  type JoiningEdge,
  type RouteName,
  reachedNothing,
  UNPINNED,
  type WritePin,
} from './begun-pin.ts'
import { hasOpenPositions, settlePositions } from './open-positions.ts'
import { broughtPin, hasSeenMore, pinOfResponse } from './pin-of-memory.ts'
import type { RequestPolicy, RouteMarks } from './policy.ts'
import { haveHeadersLeft, isOver, isSocket } from './response-state.ts'
import { whenHeadersLeave } from './when-headers-leave.ts'

/** What {@link RequestPin} needs to know about one request. */
export interface RequestStart {
  /** The marks of its route, where they are known already. */
  readonly marks: RouteMarks | undefined
  readonly policy: RequestPolicy
  readonly pinningMs: number
  /** The pin that the client brought, and how. */
  readonly carried: Pin | undefined
  readonly carriedBy: PinReason
  /** What it brought and is not believed for as long as it says, for the response to hand on. */
  readonly beyond: Pin | undefined
  /** Until when a doubtful pin sends the request's reads to the primary; 0 for none. */
  readonly doubtUntilMs: number
  /** The requirement of the route's `readFrom`. */
  readonly readFrom: Requirement | undefined
  /** False for a skipped request, which sets no pin. */
  readonly mayPin: boolean
  /** Whether the method is one that brings a body, which must not be kept longer than its request. */
  readonly mayHaveBody: boolean
  /** The framework's own, for the owner. */
  readonly request: unknown
  /** Whether the router has found a route for the request, as far as that is known by now. */
  hasRoute(): boolean
  readonly response: ServerResponse
  /** What is wanted of its memory. */
  readonly memory: MemorySettings
  readonly account: AccountPin | undefined
}

/** What requests ask of the plugin or middleware that they came through: one for all of them, as each object counts there. */
export interface RequestOwner extends BegunBy {
  /** Called once, as the headers of a response that pins are about to leave; gives what it carries then. */
  setPin(start: RequestStart, reason: PinReason, pin: Pin, route: WithRouteName): Pin
  /** The same for one that does not pin by itself, and may carry pins of others, which must not take the place of what was brought. */
  joinPins(start: RequestStart, brought: Pin | undefined, route: WithRouteName): void
  /** Tells that something of ours has failed, as a response that is about to leave must not. */
  failed(start: RequestStart, error: unknown): void
  /** Gives what is told of each write after the headers; it lives on, so it must not hold the request. */
  lateWrites(start: RequestStart, route: WithRouteName): (kind: WriteKind) => void
  routeOf(start: RequestStart): RouteName
  policyOf(method: string, marks: RouteMarks): RequestPolicy
  readFromOf(marks: RouteMarks): Requirement | undefined
}

/** Whose route has a name, which is asked for where there is a warning to give. */
export interface WithRouteName {
  readonly routeName: RouteName
}

/** One request between its first hook and its headers: the context it runs in, and whether its response pins. */
export class RequestPin implements BegunPin, WithRouteName {
  readonly context: RoutingContext
  readonly #memory: RequestMemory
  readonly #start: RequestStart
  readonly #owner: RequestOwner
  #marks: RouteMarks | undefined
  #policy: RequestPolicy
  /** The edges that the request came to after the first, in their order. */
  #joined: JoiningEdge[] | undefined
  #carriedBy: PinReason
  #seen: WriteKind | undefined
  #ranDbWrite = false
  #set: { readonly reason: PinReason; readonly pin: Pin } | undefined
  #onLateWrite: ((kind: WriteKind) => void) | undefined
  #watched = false
  #hasToldAccount = false

  constructor(start: RequestStart, owner: RequestOwner) {
    this.#start = start
    this.#owner = owner
    this.#marks = start.marks
    this.#policy = start.policy
    this.#carriedBy = start.carriedBy
    this.#memory = createMemory(start.pinningMs, start.carried, start.policy.isWrite, start.memory)
    this.#memory.readFrom = start.readFrom
    this.#memory.doubtUntilMs = start.doubtUntilMs
    this.#memory.beyond = start.beyond
    this.#memory.onWrite = (kind) => this.#wrote(kind)
    this.#memory.end = this
    this.context = openRequestContext(this.#memory)
    // No headers will ever leave, so its reads are fresh for as long after each write as a pin lasts.
    if (isSocket(start.response)) closeMemory(this.#memory)
    const hasBrought = start.carried !== undefined && start.mayPin
    if (start.policy.isWrite || start.mayHaveBody || start.memory.wantsSeen || hasBrought) this.watch()
  }

  /** Has the request keep to one replica, as others with the key that `ask` gives; it is asked until it gives one. */
  keepTo(ask: () => string | undefined): void {
    let key: string | undefined
    this.#memory.affinityKey = () => {
      key ??= ask()
      return key
    }
  }

  /**
   * The response has closed. Whatever still runs in the context keeps nothing of the request: not least Node.js 20's own timers,
   * which would make it live so long that collecting it costs more than all the rest of a GET.
   */
  closed(): void {
    if (this.#watched) return
    this.#watched = true
    this.#end()
  }

  /** The pin as it stands. */
  get writePin(): WritePin {
    const { carried, pinningMs, doubtUntilMs, freshUntilMs } = this.#memory
    const reason = this.#set?.reason ?? (haveHeadersLeft(this.#start.response) ? undefined : this.#reason)
    if (reason !== undefined) {
      const untilMs = this.#set?.pin.untilMs ?? Math.max(Date.now() + pinningMs, carried?.untilMs ?? 0)
      return { pinned: true, reason, until: new Date(untilMs) }
    }
    const nowMs = Date.now()
    if (carried !== undefined && carried.untilMs > nowMs) {
      return { pinned: true, reason: this.#carriedBy, until: new Date(carried.untilMs) }
    }
    const boundUntilMs = Math.min(doubtUntilMs, freshUntilMs)
    if (boundUntilMs > nowMs) return { pinned: true, reason: 'bad-signature', until: new Date(boundUntilMs) }
    return UNPINNED
  }

  /** What is said of its route, as far as that is known. */
  get marks(): RouteMarks | undefined {
    return this.#marks
  }

  get begunBy(): BegunBy {
    return this.#owner
  }

  /** Its route, as the last edge that has found one names it. */
  get routeName(): RouteName {
    const found = this.#joined?.findLast((edge) => !edge.reachedNoRoute())
    return found === undefined ? this.#owner.routeOf(this.#start) : found.routeName()
  }

  /** Another edge goes on with the request. */
  join(edge: JoiningEdge): void {
    this.#joined ??= []
    this.#joined.push(edge)
    if (edge.account !== undefined) this.#start.account?.alsoAsk(edge.account)
  }

  /** Decides anew what the request is, where its route is found only after it has begun. What it wrote stays written. */
  remark(method: string, marks: RouteMarks): void {
    const policy = this.#owner.policyOf(method, marks)
    this.#marks = marks
    this.#policy = policy
    this.#memory.writeRequest = policy.isWrite || this.#ranDbWrite
    this.#memory.readFrom = this.#owner.readFromOf(marks)
    if (policy.isWrite) this.watch()
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
    const { account, response } = this.#start
    if (haveHeadersLeft(response)) return undefined
    this.#tellAccount()
    return account?.isBehind === true || hasOpenPositions(this.#memory)
      ? settle(this.#memory, account)
      : undefined
  }

  /** What a request is by its method or its route's marks is known only when its way is over. */
  #tellAccount(): void {
    if (this.#hasToldAccount || this.#reason === undefined) return
    this.#hasToldAccount = true
    this.#start.account?.wrote()
  }

  /** Why the response pins, if its headers left now. */
  get #reason(): PinReason | undefined {
    if (!this.#start.mayPin) return undefined
    const { pinReason } = this.#policy
    return pinReason !== undefined && !this.#reachedNoRoute ? pinReason : this.#seen
  }

  get #reachedNoRoute(): boolean {
    if (!reachedNothing(this.#start.hasRoute(), this.#start.response)) return false
    return this.#joined?.every((edge) => edge.reachedNoRoute()) ?? true
  }

  #wrote(kind: WriteKind): void {
    const { response, account, mayPin } = this.#start
    if (kind === 'db-write') {
      // A mark of the route wins over `dbWrite()` around its handler.
      this.#ranDbWrite ||= this.#marks?.dbWrite !== false
      this.#memory.writeRequest = this.#policy.isWrite || this.#ranDbWrite
      if (!this.#ranDbWrite) return
    }
    if (haveHeadersLeft(response)) this.#lateWrites?.(kind)
    else this.#seen ??= kind
    this.watch()
    if (!mayPin) return
    this.#hasToldAccount = true
    account?.wrote()
    // No response can carry it any more, but the account's pin can.
    const isTooLate = haveHeadersLeft(response) || isOver(response) || isSocket(response)
    if (isTooLate && account !== undefined) void settle(this.#memory, account)
  }

  get #lateWrites(): ((kind: WriteKind) => void) | undefined {
    if (this.#start.mayPin) this.#onLateWrite ??= this.#owner.lateWrites(this.#start, this)
    return this.#onLateWrite
  }

  /**
   * Watches for the end of the request, once something binds its reads, or its response may pin.
   *
   * The pin is decided as the headers leave, not in a hook of the framework's: whatever hook comes last may
   * still write (a session store), and a response that bypasses the framework's hooks carries it too. From then on the
   * request's own reads are fresh for as long as a pin lasts, however long it goes on (a stream, a timer).
   */
  watch(): void {
    if (this.#watched) return
    this.#watched = true
    const { response } = this.#start
    if (haveHeadersLeft(response) || isOver(response)) this.#end()
    else whenHeadersLeave(response, () => this.#headersLeave())
    if (!response.closed) response.once('close', () => this.#end())
  }

  #headersLeave(): void {
    const { account } = this.#start
    // What the request wrote is committed: whatever happens here, its response must leave.
    try {
      this.#decidePin()
    } catch (error) {
      this.#set = undefined
      this.#owner.failed(this.#start, error)
    }
    closeMemory(this.#memory)
    // Where no hook held the response up.
    if (account?.isBehind === true) void settle(this.#memory, account)
  }

  #decidePin(): void {
    const { mayPin } = this.#start
    const written = this.#reason
    this.#tellAccount()
    const reason = written ?? (mayPin && hasSeenMore(this.#memory) ? 'read' : undefined)
    const pin = reason && pinOfResponse(this.#memory, written !== undefined)
    if (reason !== undefined && pin !== undefined) {
      this.#set = { reason, pin: this.#owner.setPin(this.#start, reason, pin, this) }
    } else if (mayPin) this.#owner.joinPins(this.#start, broughtPin(this.#memory), this)
  }

  /**
   * The response is over, or its client is gone. The memory may live on in whatever was begun in the context (a pooled
   * connection, a timer), so it lets go of the request.
   */
  #end(): void {
    if (this.#memory.freshUntilMs === Number.POSITIVE_INFINITY) closeMemory(this.#memory)
    const { response, account } = this.#start
    if (!isOver(response)) return
    // Where its client went away before, the handler may be at work yet; a socket has no response.
    if (response.writableEnded && !isSocket(response)) this.#memory.answeredAtMs = Date.now()
    account?.letGo()
    // What it wrote before its client went away; it may never come to an answer.
    if (account?.isBehind === true) void settle(this.#memory, account)
    // A response that its client did not wait for could not have carried a pin anyway.
    this.#memory.onWrite = afterEnd(
      this.#memory,
      account,
      haveHeadersLeft(response) ? this.#lateWrites : undefined,
    )
    this.#memory.affinityKey = undefined
    this.#memory.end = undefined
  }
}

async function settle(memory: RequestMemory, account: AccountPin | undefined): Promise<void> {
  await settlePositions(memory)
  await account?.raise(memory)
}

/** What is told of each write after the end of the response: it knows neither that nor the request. */
function afterEnd(
  memory: RequestMemory,
  account: AccountPin | undefined,
  onLateWrite: ((kind: WriteKind) => void) | undefined,
): ((kind: WriteKind) => void) | undefined {
  if (account === undefined) return onLateWrite
  return (kind) => {
    onLateWrite?.(kind)
    account.wrote()
    void settle(memory, account)
  }
}
