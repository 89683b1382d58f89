/** A WAL position, and the server and timeline that it belongs to. Plain data. */
export interface Position {
  /** The system identifier of the cluster, in decimal digits, as `pg_control_system()` gives it. */
  readonly systemId: string
  /** The timeline that it was read on. A promotion begins a new one. */
  readonly timeline: number
  /** In bytes of WAL; see `lsn.ts`. */
  readonly lsn: bigint
}

/** Whether a value is a position that PostgreSQL could have given. */
export function isPosition(value: unknown): value is Position {
  if (typeof value !== 'object' || value === null) return false
  const { systemId, timeline, lsn } = value as Partial<Position>
  if (typeof systemId !== 'string' || !DECIMAL.test(systemId) || BigInt(systemId) > MAX_64_BITS) return false
  if (!Number.isInteger(timeline) || (timeline as number) < 1 || (timeline as number) > MAX_32_BITS)
    return false
  return typeof lsn === 'bigint' && lsn > 0n && lsn <= MAX_64_BITS
}

const DECIMAL = /^[1-9]\d{0,19}$/
const MAX_64_BITS = 0xffff_ffff_ffff_ffffn
const MAX_32_BITS = 0xffff_ffff

/** The system and the timeline that a position belongs to. */
export type History = Pick<Position, 'systemId' | 'timeline'>

/** Whether two positions can be compared. On another timeline, the same number means another record. */
export function haveSameHistory(a: History, b: History): boolean {
  return a.systemId === b.systemId && a.timeline === b.timeline
}
