import type { IgnoredPinReason } from '../diagnostics.ts'
import { addPart, mergePins } from './merge-pins.ts'
import { type ClusterPin, clusterKey, type Pin } from './pin.ts'
import { isPosition, type Position } from './position.ts'
import type { Requirement } from './requirement.ts'
import { expectPosition, type WrittenPositions } from './written-positions.ts'

/**
 * Why a request counts as a write: the router saw a write, `markWrite()` was called, or its route is marked
 * `dbWrite`.
 */
export type WriteKind = 'write' | 'mark-write' | 'db-write'

/** How the plugin or middleware reads, writes and stores pins. All of its requests share one object. */
export interface PinCodec {
  /** Writes a pin as a token, and signs it if there is a secret. */
  encode(pin: Pin): string
  /** Reads a token. Gives the reason if the token is worth nothing. Never throws. */
  read(token: string): Pin | IgnoredPinReason
  /** Whether tokens are signed, so that a client cannot have made one up. */
  readonly isSigned: boolean
  /** The same for tokens of another cookie: the signature covers its name. */
  withCookieName(name: string): PinCodec
  /** Raises the pin of an account; undefined without a pin store. */
  readonly raiseAccount: ((account: string, pin: Pin) => Promise<void>) | undefined
}

/** The part of a request's memory that is the same for all requests of a plugin. */
export interface MemorySettings {
  /** Whether the positions of writes are wanted. If not, nobody reads them. */
  readonly wantsPositions: boolean
  /** Whether the positions that reads have seen are wanted. */
  readonly wantsSeen: boolean
  readonly codec: PinCodec | undefined
}

/**
 * What one request knows about how fresh its reads must be: the pin that it brought, whether it counts as a write from
 * its start, and what it has written since. Data and callbacks, and no class, because two copies of this package in one
 * process may share it.
 */
export interface RequestMemory extends MemorySettings {
  /** How long a pin lasts, in ms. For that long after its end, a request that wrote still reads its own writes. */
  readonly pinningMs: number
  /** The pin that it brought, or that its account has; undefined for none. */
  carried: Pin | undefined
  /**
   * Until when its reads go to the primary because it brought a pin with a missing or wrong signature, which may still
   * be honest. In ms since the epoch; 0 for not at all. That pin is not in `carried`, so no pin that is made from this
   * memory contains it.
   */
  doubtUntilMs: number
  /** Whether the request counts as a write from its start. */
  writeRequest: boolean
  /** Where the route's `readFrom` sends the request's reads until it writes. */
  readFrom: Requirement | undefined
  /** Clusters that the router saw this request write to; undefined before the first write. */
  wroteTo: Set<string> | undefined
  /**
   * Clusters in which it tried to write, whether that succeeded or not. Its reads there are fresh. This alone sets no
   * pin.
   */
  triedToWriteTo: Set<string> | undefined
  /**
   * Whether `markWrite()` was called. It does not say which cluster was written to, so the reads of all clusters are
   * fresh.
   */
  markedWrite: boolean
  /**
   * Until when its reads are fresh because it wrote, counts as a write, or brought a pin in doubt. In ms since the
   * epoch; Infinity while the request is under way.
   */
  freshUntilMs: number
  /**
   * The pins that the request brought and that last longer than this process believes. A response passes them on
   * unchanged; undefined for none.
   */
  tooLongLived: Pin | undefined
  /**
   * When the whole of its response was sent, in ms since the epoch; Infinity before that, and if there is no
   * response.
   */
  answeredAtMs: number
  /** The positions of its writes; undefined before the first write, or if they are not wanted. */
  written: WrittenPositions | undefined
  /** What its reads have seen, by the cluster's key; undefined before the first read, or if that is not wanted. */
  seen: Map<string, ClusterPin> | undefined
  /** Called for each write, so that the response can carry the pin. */
  onWrite: ((kind: WriteKind) => void) | undefined
  /**
   * `watch()` is called at each attempt to write. It makes sure that the end of the request is noticed, because after
   * the end, an attempt keeps the reads fresh only for as long as a pin lasts.
   */
  end: { watch(): void } | undefined
  /**
   * Gives the key of this request; all requests with the same key keep to the same replica. Called at the first read.
   */
  affinityKey: (() => string | undefined) | undefined
  /** The node that each cluster's reads keep to, so that they do not go back in time. */
  kept: KeptNode | undefined
}

/**
 * The node that the reads of one cluster keep to. It is an entry of a linked list, because a request has one cluster,
 * and rarely two. Plain data.
 */
interface KeptNode {
  readonly cluster: string
  /**
   * The node's name, and not its object: another router of this process may have an object of its own for the same
   * server, with the same name.
   */
  node: string
  readonly next: KeptNode | undefined
}

/** The settings of a memory without a plugin: nothing is wanted. */
export const PLAIN: MemorySettings = { wantsPositions: false, wantsSeen: false, codec: undefined }

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
    tooLongLived: undefined,
    answeredAtMs: Number.POSITIVE_INFINITY,
    written: undefined,
    seen: undefined,
    onWrite: undefined,
    end: undefined,
    affinityKey: undefined,
    kept: undefined,
    wantsPositions: settings.wantsPositions,
    wantsSeen: settings.wantsSeen,
    codec: settings.codec,
  }
}

/**
 * Records a write that took effect in `cluster`, right after its commit. If positions are wanted, `position` is that
 * of the primary, read after that commit. If there is none, or if it gives undefined or rejects, the pin of this
 * cluster is a time pin.
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
 * A statement that may have written in `cluster`, but does not count, was run. Moves the position of the request's
 * writes past it. `position` reads that of the primary after the statement. It is called only if the request has
 * written there before.
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

/** Whether the position of a statement that does not count is wanted. Only a pin that is set anyway can hold it. */
function wantsUncounted(memory: RequestMemory, cluster: string): boolean {
  return memory.wantsPositions && memory.wroteTo?.has(cluster) === true
}

/**
 * Records an attempt to write in `cluster`, even if it matched no row, failed or was rolled back. The request's next
 * reads must not show an older state than its attempt has shown it. An attempt sets no pin.
 */
export function rememberTriedWrite(memory: RequestMemory, cluster: string): void {
  memory.triedToWriteTo ??= new Set()
  memory.triedToWriteTo.add(cluster)
  stayFresh(memory)
  memory.end?.watch()
}

/** Records a write that the router could not see. */
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
 * Records a position that covers everything that a read in `cluster` may have seen. If `position` is undefined because
 * nobody knows it, this cluster is read from its primary for as long as a pin lasts. Does nothing if it is not wanted.
 */
export function sawPosition(memory: RequestMemory, cluster: string, position: Position | undefined): void {
  if (!memory.wantsSeen) return
  memory.seen ??= new Map()
  const untilMs = Date.now() + memory.pinningMs
  const part = isPosition(position)
    ? { primaryUntilMs: 0, exact: { position, untilMs } }
    : { primaryUntilMs: untilMs, exact: undefined }
  addPart(memory.seen, clusterKey(cluster), part)
}

/** Makes the request's reads as fresh as another pin demands, and no less fresh than before. */
export function raiseCarried(memory: RequestMemory, pin: Pin | undefined): void {
  memory.carried = mergePins(memory.carried, pin)
}

/** The name of the node that the reads of `cluster` keep to; undefined for none. */
export function keptNode(memory: Keeper, cluster: string): string | undefined {
  return findKept(memory, cluster)?.node
}

/** Makes the reads of `cluster` keep to a node from now on. */
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
 * Ends the request. A context that outlives it (a timer, a socket) reads its own writes for as long as a pin would
 * last, and no longer.
 */
export function closeMemory(memory: RequestMemory): void {
  memory.freshUntilMs = Date.now() + memory.pinningMs
}

/** Whether the request's reads must still be fresh because it wrote, or counts as a write. */
export function isStillFresh(memory: RequestMemory): boolean {
  return memory.freshUntilMs === Number.POSITIVE_INFINITY || memory.freshUntilMs > Date.now()
}

function announceWrite(memory: RequestMemory, kind: WriteKind): void {
  stayFresh(memory)
  memory.onWrite?.(kind)
}

/** If the request is over, restarts the time for which its writes keep its reads fresh. */
function stayFresh(memory: RequestMemory): void {
  if (memory.freshUntilMs !== Number.POSITIVE_INFINITY) closeMemory(memory)
}

// Nobody waits for this promise. Its rejection must not bring the process down.
function ignore(): void {}
