import { withinMs } from '../waiting.ts'
import { haveSameHistory, isPosition, type Position } from './position.ts'

/** The positions of one request's writes, as far as they are known. Plain data. */
export interface WrittenPositions {
  /** By the cluster's name. */
  readonly clusters: Map<string, WrittenPosition>
  /** The positions that are being read. Each promise leaves the set when it settles. None ever rejects. */
  readonly open: Set<Promise<void>>
}

interface WrittenPosition {
  /** How many writes there were. */
  writes: number
  /** How many of them, from the first on, the position covers. */
  covered: number
  position: Position | undefined
  /**
   * Whether the moment of one write's commit is unknown. It may be later than all positions here, so none covers it.
   */
  hasUnknownCommit: boolean
}

/** Records a write that was just committed, and the promise of its position. */
export function expectPosition(
  written: WrittenPositions,
  cluster: string,
  position: Promise<Position | undefined> | undefined,
): void {
  const before = written.clusters.get(cluster) ?? {
    writes: 0,
    covered: 0,
    position: undefined,
    hasUnknownCommit: false,
  }
  written.clusters.set(cluster, before)
  const write = ++before.writes
  if (position === undefined) {
    before.hasUnknownCommit = true
    return
  }
  whenRead(written, position, (read) => {
    if (!isPosition(read)) return
    noteCommitted(cluster, read)
    // The position was read after this commit, and so after the earlier ones. An earlier write under asynchronous
    // commit may have a higher position. That one stays.
    before.covered = Math.max(before.covered, write)
    if (before.position === undefined || !isBehind(read, before.position)) before.position = read
  })
}

/** The position that covers all of the request's writes to `cluster`; undefined if it is not known. */
export function writtenPosition(
  written: WrittenPositions | undefined,
  cluster: string,
): Position | undefined {
  const known = written?.clusters.get(cluster)
  if (known === undefined || known.hasUnknownCommit) return undefined
  return known.covered === known.writes ? known.position : undefined
}

/** Something that has the positions of its writes. */
interface HasWritten {
  readonly written: WrittenPositions | undefined
}

/**
 * How long a response waits for positions that are still being read, in ms. If that is not enough, its pin is a time
 * pin.
 */
const POSITION_WAIT_MS = 250

/** Whether positions of this request are still being read. */
export function hasOpenPositions({ written }: HasWritten): boolean {
  return written !== undefined && written.open.size > 0
}

/**
 * Waits for the positions of what the request has done so far, for {@link POSITION_WAIT_MS} at most. Never rejects.
 */
export async function settlePositions(memory: HasWritten): Promise<void> {
  if (!hasOpenPositions(memory)) return
  await withinMs(POSITION_WAIT_MS, Promise.all(memory.written?.open ?? []))
}

/** Calls `use` with what a promise gives, or with undefined if it rejects. Until then the promise counts as open. */
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

/** Remembers a position whose writes are known to be committed, if it is higher than the one known before. */
function noteCommitted(cluster: string, position: Position): void {
  const key = keyOf(cluster, position)
  const before = known.get(key)
  if (before !== undefined && position.lsn <= before.lsn) return
  if (before === undefined && known.size === MAX_KNOWN) known.delete(known.keys().next().value as string)
  known.set(key, position)
}

/**
 * The highest position of the same history up to which this process knows writes to be committed. A slow response must
 * not replace a newer position by an older one.
 */
export function highestCommitted(cluster: string, position: Position): Position {
  const highest = known.get(keyOf(cluster, position))
  return highest !== undefined && highest.lsn > position.lsn ? highest : position
}

// Two copies of this package in one process share this, so that neither hands out a lower position than the other.
const SHARED = Symbol.for('write-pinning.known-positions.v1')
const holder = globalThis as { [SHARED]?: Map<string, Position> }
holder[SHARED] ??= new Map()
const known: Map<string, Position> = holder[SHARED]

/** Cap: only a process that keeps opening databases reaches it. */
const MAX_KNOWN = 256

// The timeline is a part of the key: after a failover, a position of the old timeline says nothing.
function keyOf(cluster: string, { systemId, timeline }: Position): string {
  return `${systemId} ${timeline} ${cluster}`
}
