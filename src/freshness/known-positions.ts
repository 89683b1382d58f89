import type { Position } from './position.ts'

// Shared by two copies of this package in one process, so that neither hands out less than the other.
const SHARED = Symbol.for('write-pinning.known-positions.v1')
const holder = globalThis as { [SHARED]?: Map<string, Position> }
holder[SHARED] ??= new Map()
const known: Map<string, Position> = holder[SHARED]

/** More than that only a process has that opens databases without end. */
const MAX_KNOWN = 256

/** Remembers a position that is known to be committed, where it is further on than what was known before. */
export function knowCommitted(cluster: string, position: Position): void {
  const key = keyOf(cluster, position)
  const before = known.get(key)
  if (before !== undefined && !isFurther(position, before)) return
  if (before === undefined && known.size === MAX_KNOWN) known.delete(known.keys().next().value as string)
  known.set(key, position)
}

/**
 * The highest position of the same history that this process knows to be committed: a response that was slow must not
 * put an older position over a newer one.
 */
export function highestCommitted(cluster: string, position: Position): Position {
  const highest = known.get(keyOf(cluster, position))
  return highest !== undefined && isFurther(highest, position) ? highest : position
}

// The timeline is part of it: after a failover, a number of the old one says nothing.
function keyOf(cluster: string, { systemId, timeline }: Position): string {
  return `${systemId} ${timeline} ${cluster}`
}

function isFurther(a: Position, b: Position): boolean {
  return a.lsn > b.lsn
}
