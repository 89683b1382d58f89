import { withinMs } from '../waiting.ts'
import { haveSameHistory, isPosition, type Position } from './position.ts'

/** The positions of one request's writes, as far as they are known. Plain data. */
export interface WrittenPositions {
  /** By the cluster's name. */
  readonly clusters: Map<string, WrittenPosition>
  /** What is being read; each leaves when it is there, and none ever rejects. */
  readonly open: Set<Promise<void>>
}

interface WrittenPosition {
  /** How many writes there were. */
  writes: number
  /** Up to which of them the position covers. */
  covered: number
  position: Position | undefined
  /** Whether there was one of which nobody knows when it is committed: it may be later than what comes after it. */
  isUnknown: boolean
}

/** Takes note of a write that was just committed, and of the promise of its position. */
export function expectPosition(
  written: WrittenPositions,
  cluster: string,
  position: Promise<Position | undefined> | undefined,
): void {
  const before = written.clusters.get(cluster) ?? {
    writes: 0,
    covered: 0,
    position: undefined,
    isUnknown: false,
  }
  written.clusters.set(cluster, before)
  const write = ++before.writes
  if (position === undefined) {
    before.isUnknown = true
    return
  }
  whenRead(written, position, (read) => {
    if (!isPosition(read)) return
    knowCommitted(cluster, read)
    // It was read after this commit, and so after those before it as well. Where one of them was not flushed, its own goes
    // further.
    before.covered = Math.max(before.covered, write)
    if (before.position === undefined || !isBehind(read, before.position)) before.position = read
  })
}

/** The position that covers all of the request's writes to `cluster`; undefined where that is not known. */
export function writtenPosition(
  written: WrittenPositions | undefined,
  cluster: string,
): Position | undefined {
  const known = written?.clusters.get(cluster)
  if (known === undefined || known.isUnknown) return undefined
  return known.covered === known.writes ? known.position : undefined
}

/** What remembers the positions of its writes. */
interface HasWritten {
  readonly written: WrittenPositions | undefined
}

/** How long anybody waits for what is left of a position read, in ms; then it is a time pin. */
const POSITION_WAIT_MS = 250

/** Whether positions of this request are still being read. */
export function hasOpenPositions({ written }: HasWritten): boolean {
  return written !== undefined && written.open.size > 0
}

/** Waits until the positions of what the request has done so far are there, for a moment at most; never rejects. */
export async function settlePositions(memory: HasWritten): Promise<void> {
  if (!hasOpenPositions(memory)) return
  await withinMs(POSITION_WAIT_MS, Promise.all(memory.written?.open ?? []))
}

/** Hands on what a promise gives, or undefined where it rejects; until then it counts as open. */
function whenRead(
  written: WrittenPositions,
  position: Promise<Position | undefined>,
  use: (read: Position | undefined) => void,
): void {
  const settled = position
    .then(use, () => use(undefined))
    .then(() => {
      written.open.delete(settled)
    })
  written.open.add(settled)
}

function isBehind(a: Position, b: Position): boolean {
  return haveSameHistory(a, b) && a.lsn < b.lsn
}

/** Remembers a position that is known to be committed, where it is further on than what was known before. */
function knowCommitted(cluster: string, position: Position): void {
  const key = keyOf(cluster, position)
  const before = known.get(key)
  if (before !== undefined && position.lsn <= before.lsn) return
  if (before === undefined && known.size === MAX_KNOWN) known.delete(known.keys().next().value as string)
  known.set(key, position)
}

/**
 * The highest position of the same history that this process knows to be committed: a response that was slow must not
 * put an older position over a newer one.
 */
export function highestCommitted(cluster: string, position: Position): Position {
  const highest = known.get(keyOf(cluster, position))
  return highest !== undefined && highest.lsn > position.lsn ? highest : position
}

// Shared by two copies of this package in one process, so that neither hands out less than the other.
const SHARED = Symbol.for('write-pinning.known-positions.v1')
const holder = globalThis as { [SHARED]?: Map<string, Position> }
holder[SHARED] ??= new Map()
const known: Map<string, Position> = holder[SHARED]

/** Cap: only a process that keeps opening databases reaches it. */
const MAX_KNOWN = 256

// The timeline is part of it: after a failover, a number of the old one says nothing.
function keyOf(cluster: string, { systemId, timeline }: Position): string {
  return `${systemId} ${timeline} ${cluster}`
}
