import { OWN_WRITE, PINNED, type Requirement, WRITE_REQUEST } from './requirement.ts'

/** How a request came to write: the router saw it, `markWrite()` said so, or its handler is marked `dbWrite`. */
export type WriteKind = 'write' | 'mark-write' | 'db-write'

/**
 * What one request knows about how fresh its reads must be: the pin it brought, whether it is a write by
 * itself, and what it has written since. Data and one callback, no class, because two copies of this package in
 * one process may share it.
 */
export interface RequestMemory {
  /** How long after its end a request that wrote still reads its own writes, in ms. */
  readonly pinningMs: number
  /** The pin that the user agent brought, in ms since the epoch; 0 for none. */
  readonly pinnedUntilMs: number
  /** Whether the request counts as a write from its start. */
  writeRequest: boolean
  /** Where the route's `readFrom` sends the request's reads until it writes. */
  readFrom: Requirement | undefined
  /** Clusters that the router saw this request write to; undefined before the first write. */
  wroteTo: Set<string> | undefined
  /** Whether `markWrite()` was called: a write to a cluster that nobody named. */
  markedWrite: boolean
  /** When what this request wrote or is stops to bind its reads; Infinity as long as it is under way. */
  freshUntilMs: number
  /** Told of each write, so that the response can be made to carry the pin. */
  onWrite: ((kind: WriteKind) => void) | undefined
}

export function createMemory(pinningMs: number, pinnedUntilMs: number, writeRequest: boolean): RequestMemory {
  return {
    pinningMs,
    pinnedUntilMs,
    writeRequest,
    readFrom: undefined,
    wroteTo: undefined,
    markedWrite: false,
    freshUntilMs: Number.POSITIVE_INFINITY,
    onWrite: undefined,
  }
}

/** What the memory demands of a read in `cluster`; undefined where it demands nothing. */
export function requirementOfMemory(memory: RequestMemory, cluster: string): Requirement | undefined {
  // Where a route's reads go was said before it wrote.
  if (memory.readFrom !== undefined) return hasFreshWrite(memory, cluster) ? OWN_WRITE : memory.readFrom
  if (memory.writeRequest && isStillFresh(memory)) return WRITE_REQUEST
  if (hasFreshWrite(memory, cluster)) return OWN_WRITE
  if (memory.pinnedUntilMs > 0 && memory.pinnedUntilMs > Date.now()) return PINNED
  return undefined
}

/** Whether the request has written to `cluster`, as far as it still matters. */
function hasFreshWrite(memory: RequestMemory, cluster: string): boolean {
  return (memory.markedWrite || memory.wroteTo?.has(cluster) === true) && isStillFresh(memory)
}

/** Remembers a write that took effect in `cluster`. */
export function rememberWrite(memory: RequestMemory, cluster: string): void {
  memory.wroteTo ??= new Set()
  memory.wroteTo.add(cluster)
  announceWrite(memory, 'write')
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
 * Ends the request: a context that outlives it (a timer, a socket) reads its own writes for as long as a
 * pin would last, and no longer.
 */
export function closeMemory(memory: RequestMemory): void {
  memory.freshUntilMs = Date.now() + memory.pinningMs
}

function announceWrite(memory: RequestMemory, kind: WriteKind): void {
  if (memory.freshUntilMs !== Number.POSITIVE_INFINITY) closeMemory(memory)
  memory.onWrite?.(kind)
}

function isStillFresh(memory: RequestMemory): boolean {
  return memory.freshUntilMs === Number.POSITIVE_INFINITY || memory.freshUntilMs > Date.now()
}
