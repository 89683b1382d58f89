import type { IgnoredPinReason } from '../diagnostics.ts'
import { addPart, mergePins } from './merge-pins.ts'
import { type ClusterPin, type Pin, placeOf } from './pin.ts'
import { isPosition, type Position } from './position.ts'
import type { Requirement } from './requirement.ts'
import { expectPosition, type WrittenPositions } from './written-positions.ts'

/** How a request came to write: the router saw it, `markWrite()` said so, or its handler is marked `dbWrite`. */
export type WriteKind = 'write' | 'mark-write' | 'db-write'

/** What the plugin or middleware lends to every request of its own; one object for all of them. */
export interface PinHost {
  /** Writes a pin down as a token, signed where there is a secret. */
  encode(pin: Pin): string
  /** Reads a token, or says why it is worth nothing; never throws. */
  read(token: string): Pin | IgnoredPinReason
  /** Whether a token that it has read is none that its client has made up. */
  readonly isSigned: boolean
  /** The same for tokens of another cookie: the signature covers its name. */
  withCookieName(name: string): PinHost
  /** Raises the pin of an account; undefined where there is no store for them. */
  readonly raiseAccount: ((account: string, pin: Pin) => Promise<void>) | undefined
}

/** What of a request's memory is the same for all requests of a plugin. */
export interface MemorySettings {
  /** Whether the positions of writes are wanted: a dialect reads them for nobody else. */
  readonly wantsPositions: boolean
  /** Whether the positions that reads have seen are wanted. */
  readonly wantsSeen: boolean
  readonly host: PinHost | undefined
}

/**
 * What one request knows about how fresh its reads must be: the pin it brought, whether it is a write by
 * itself, and what it has written since. Data and callbacks, no class, because two copies of this package in
 * one process may share it.
 */
export interface RequestMemory extends MemorySettings {
  /** How long after its end a request that wrote still reads its own writes, in ms. */
  readonly pinningMs: number
  /** The pin that it brought, or that its account has. */
  carried: Pin | undefined
  /**
   * Until when its reads go to the primary, because a pin that it brought may be an honest one, which nobody can tell; 0 for
   * not at all. It is no part of `carried`, so no pin that is made of this memory holds it.
   */
  doubtUntilMs: number
  /** Whether the request counts as a write from its start. */
  writeRequest: boolean
  /** Where the route's `readFrom` sends the request's reads until it writes. */
  readFrom: Requirement | undefined
  /** Clusters that the router saw this request write to; undefined before the first write. */
  wroteTo: Set<string> | undefined
  /** Clusters in which it tried to write, whatever came of that: its reads there are fresh, and it pins nobody. */
  triedToWriteTo: Set<string> | undefined
  /** Whether `markWrite()` was called: a write to a cluster that nobody named. */
  markedWrite: boolean
  /** When what this request wrote or is, and what is doubtful of it, stops to bind its reads; Infinity as long as it is under way. */
  freshUntilMs: number
  /** What the request brought and is not believed for as long as it says, to be handed on; undefined for nothing. */
  beyond: Pin | undefined
  /** When its response had been sent whole; Infinity as long as it has not, and where there is none. */
  answeredAtMs: number
  /** The positions of its writes; undefined before the first, or where they are not wanted. */
  written: WrittenPositions | undefined
  /** What its reads have seen, by the cluster's place; undefined where that is not wanted. */
  seen: Map<string, ClusterPin> | undefined
  /** Told of each write, so that the response can be made to carry the pin. */
  onWrite: ((kind: WriteKind) => void) | undefined
  /** Told of each attempt to write: it binds the request's reads too, and must not do so for longer than a pin lasts. */
  end: { watch(): void } | undefined
  /** Gives the key by which this request keeps to one replica, as other requests of that key do; asked at its first read. */
  affinityKey: (() => string | undefined) | undefined
  /** The node that each cluster's reads keep to, so that they never go back in time. */
  kept: KeptNode | undefined
}

/** The node that the reads of one cluster keep to; a request has one cluster, rarely two. Plain data. */
interface KeptNode {
  readonly cluster: string
  /** Its name: another router of this process may have a node of that name of its own, and of the same server. */
  node: string
  readonly next: KeptNode | undefined
}

/** The settings of a memory that no plugin wants anything of. */
export const PLAIN: MemorySettings = { wantsPositions: false, wantsSeen: false, host: undefined }

export function createMemory(
  pinningMs: number,
  carried: Pin | undefined,
  writeRequest: boolean,
  settings: MemorySettings = PLAIN,
): RequestMemory {
  return {
    pinningMs,
    carried,
    doubtUntilMs: 0,
    writeRequest,
    readFrom: undefined,
    wroteTo: undefined,
    triedToWriteTo: undefined,
    markedWrite: false,
    freshUntilMs: Number.POSITIVE_INFINITY,
    beyond: undefined,
    answeredAtMs: Number.POSITIVE_INFINITY,
    written: undefined,
    seen: undefined,
    onWrite: undefined,
    end: undefined,
    affinityKey: undefined,
    kept: undefined,
    wantsPositions: settings.wantsPositions,
    wantsSeen: settings.wantsSeen,
    host: settings.host,
  }
}

/**
 * Remembers a write that took effect in `cluster`, right after it was committed. Where positions are wanted, `position` is
 * that of the primary, read after that commit; without it, or where it gives undefined or rejects, the pin of
 * this cluster is a time pin.
 */
export function rememberWrite(
  memory: RequestMemory,
  cluster: string,
  position?: Promise<Position | undefined>,
): void {
  memory.wroteTo ??= new Set()
  memory.wroteTo.add(cluster)
  if (memory.wantsPositions) {
    memory.written ??= { clusters: new Map(), open: new Set() }
    expectPosition(memory.written, cluster, position)
  } else position?.catch(ignore)
  announceWrite(memory, 'write')
}

/**
 * Has the position of what the request wrote in `cluster` cover one more statement that may have written there, and does not count; the
 * same as {@link rememberWrite} for the position, which is asked for only where the request has written before.
 */
export function coverUncounted(
  memory: RequestMemory,
  cluster: string,
  position: (() => Promise<Position | undefined>) | undefined,
): void {
  if (wantsUncounted(memory, cluster) && memory.written !== undefined) {
    expectPosition(memory.written, cluster, position?.())
  }
}

/** Whether the position of what does not count is wanted: only a pin that is set anyway can hold it. */
function wantsUncounted(memory: RequestMemory, cluster: string): boolean {
  return memory.wantsPositions && memory.wroteTo?.has(cluster) === true
}

/**
 * Remembers an attempt to write in `cluster`, whatever it matched, and although it may have failed or be rolled back: what it was told
 * there must not be newer than what the request reads next. It pins nobody.
 */
export function rememberAttempt(memory: RequestMemory, cluster: string): void {
  memory.triedToWriteTo ??= new Set()
  memory.triedToWriteTo.add(cluster)
  stayFresh(memory)
  memory.end?.watch()
}

/** Remembers a write that the router could not see. */
export function rememberMarkedWrite(memory: RequestMemory): void {
  memory.markedWrite = true
  announceWrite(memory, 'mark-write')
}

/** Makes the whole request a write, as a POST is. */
export function rememberWriteRequest(memory: RequestMemory): void {
  memory.writeRequest = true
  announceWrite(memory, 'db-write')
}

/**
 * Remembers what a read in `cluster` may have seen: a position that is no lower. With undefined, where nobody knows, this cluster is
 * read from its primary for the time of a pin. Does nothing where it is not wanted.
 */
export function sawPosition(memory: RequestMemory, cluster: string, position: Position | undefined): void {
  if (!memory.wantsSeen) return
  memory.seen ??= new Map()
  const untilMs = Date.now() + memory.pinningMs
  const part = isPosition(position)
    ? { primaryUntilMs: 0, exact: { position, untilMs } }
    : { primaryUntilMs: untilMs, exact: undefined }
  addPart(memory.seen, placeOf(cluster), part)
}

/** Makes the request's reads as fresh as another pin demands, and no less than before. */
export function raiseCarried(memory: RequestMemory, pin: Pin | undefined): void {
  memory.carried = mergePins(memory.carried, pin)
}

/** The name of the node that the reads of `cluster` keep to. */
export function keptNode(memory: Keeper, cluster: string): string | undefined {
  return findKept(memory, cluster)?.node
}

/** Has the reads of `cluster` keep to a node from now on. */
export function keepTo(memory: Keeper, cluster: string, node: string): void {
  const kept = findKept(memory, cluster)
  if (kept === undefined) memory.kept = { cluster, node, next: memory.kept }
  else kept.node = node
}

type Keeper = Pick<RequestMemory, 'kept'>

function findKept({ kept }: Keeper, cluster: string): KeptNode | undefined {
  while (kept !== undefined && kept.cluster !== cluster) kept = kept.next
  return kept
}

/**
 * Ends the request: a context that outlives it (a timer, a socket) reads its own writes for as long as a
 * pin would last, and no longer.
 */
export function closeMemory(memory: RequestMemory): void {
  memory.freshUntilMs = Date.now() + memory.pinningMs
}

/** Whether what the request wrote, or is, still binds its reads. */
export function isStillFresh(memory: RequestMemory): boolean {
  return memory.freshUntilMs === Number.POSITIVE_INFINITY || memory.freshUntilMs > Date.now()
}

function announceWrite(memory: RequestMemory, kind: WriteKind): void {
  stayFresh(memory)
  memory.onWrite?.(kind)
}

/** Where the request is over, the time begins anew in which what it wrote binds its reads. */
function stayFresh(memory: RequestMemory): void {
  if (memory.freshUntilMs !== Number.POSITIVE_INFINITY) closeMemory(memory)
}

// Nobody waits for it, and it must not bring the process down.
function ignore(): void {}
