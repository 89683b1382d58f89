import { AsyncLocalStorage } from 'node:async_hooks'
import { isStillFresh, type RequestMemory } from './memory.ts'
import { mergeParts } from './merge-pins.ts'
import {
  type ClusterPin,
  clusterKey,
  type Pin,
  requirementOfPart,
  requirementOfPin,
  writtenUntilOf,
} from './pin.ts'
import { ANY, IN_DOUBT, OWN_WRITE, type Requirement, WRITE_REQUEST } from './requirement.ts'

/**
 * What holds for the code that is running now: its request, and its scope. Plain data, because two copies of this
 * package in one process share it.
 */
export interface RoutingContext {
  /** The request's memory; undefined in a scope outside any request. */
  readonly memory: RequestMemory | undefined
  /** Where the innermost scope sends reads; undefined outside a scope. */
  readonly override: Requirement | undefined
  /** False inside `withoutPin()`, where writes do not count. */
  readonly countsWrites: boolean
  /** Whether `bindContext()` has brought the context here. Then it outlives its request on purpose. */
  readonly isBound?: boolean
}

interface Shared {
  readonly storage: AsyncLocalStorage<RoutingContext>
  /** How many request contexts were opened so far. None means that no plugin or middleware is registered. */
  requestsOpened: number
}

// Versioned, so that copies of this package with different contexts do not share them.
const SHARED = Symbol.for('write-pinning.routing.v3')
const holder = globalThis as { [SHARED]?: Shared }
holder[SHARED] ??= { storage: new AsyncLocalStorage(), requestsOpened: 0 }
const shared: Shared = holder[SHARED]

/** The context of the code that is running; undefined outside any request or scope. */
export function currentContext(): RoutingContext | undefined {
  return shared.storage.getStore()
}

/** Makes the context in which a whole request runs. */
export function openRequestContext(memory: RequestMemory): RoutingContext {
  shared.requestsOpened++
  return { memory, override: undefined, countsWrites: true }
}

/** Runs `fn` in `context`, or in none; everything that `fn` starts stays in it. */
export function runInContext<T>(context: RoutingContext | undefined, fn: () => T): T {
  return shared.storage.run(context as RoutingContext, fn)
}

/**
 * Runs `fn` in `context`. The context may have been lost on the way, or be hidden by a scope that the code has not left
 * yet.
 */
export function reenterContext(context: RoutingContext, fn: () => void): void {
  if (context === currentContext()) fn()
  else runInContext(context, fn)
}

/** Whether any request context was ever opened in this process. */
export function anyRequestOpened(): boolean {
  return shared.requestsOpened > 0
}

/** What a read in `cluster` demands here; undefined if no request or scope says anything. */
export function requirementHere(
  context: RoutingContext | undefined,
  cluster: string,
): Requirement | undefined {
  if (context === undefined) return undefined
  const { override, memory } = context
  if (override !== undefined) return override
  if (memory === undefined) return undefined
  return requirementOfMemory(memory, cluster) ?? ANY
}

/** What the memory demands of a read in `cluster`; undefined if it demands nothing. */
export function requirementOfMemory(memory: RequestMemory, cluster: string): Requirement | undefined {
  // `readFrom` holds until the request writes.
  if (memory.readFrom !== undefined) return hasFreshWrite(memory, cluster) ? OWN_WRITE : memory.readFrom
  if (memory.writeRequest && isStillFresh(memory)) return WRITE_REQUEST
  if (hasFreshWrite(memory, cluster)) return OWN_WRITE
  const { carried, seen, doubtUntilMs } = memory
  if (carried === undefined && seen === undefined && doubtUntilMs === 0) return undefined
  const nowMs = Date.now()
  const ofCarried = requirementOfCarried(carried, seen, cluster, nowMs)
  if (ofCarried?.kind === 'primary' && ofCarried.comesFromReads !== true) return ofCarried
  return doubtUntilMs > nowMs && isStillFresh(memory) ? IN_DOUBT : ofCarried
}

/** Whether the request has written to `cluster`, or tried to, and whether that still binds its reads. */
function hasFreshWrite(memory: RequestMemory, cluster: string): boolean {
  const { markedWrite, wroteTo, triedToWriteTo } = memory
  const isOwn = markedWrite || wroteTo?.has(cluster) === true || triedToWriteTo?.has(cluster) === true
  return isOwn && isStillFresh(memory)
}

/** What a read in `cluster` demands because of the carried pin, and of what earlier reads have seen. */
function requirementOfCarried(
  carried: Pin | undefined,
  seen: ReadonlyMap<string, ClusterPin> | undefined,
  cluster: string,
  nowMs: number,
): Requirement | undefined {
  const ofPin = carried && requirementOfPin(carried, cluster, nowMs)
  if (seen === undefined || ofPin?.kind === 'primary') return ofPin
  const key = clusterKey(cluster)
  const seenHere = seen.get(key)
  if (seenHere === undefined) return ofPin
  const part = carried?.kind === 'exact' ? carried.clusters.get(key) : undefined
  const both = part === undefined ? seenHere : mergeParts(part, seenHere)
  const comesFromReads = carried === undefined || writtenUntilOf(carried) <= nowMs
  return requirementOfPart(both, nowMs, ofPin?.reason ?? 'monotonic', comesFromReads)
}
