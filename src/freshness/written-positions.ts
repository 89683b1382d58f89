import { knowCommitted } from './known-positions.ts'
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
