/**
 * A WAL position as a number: how many bytes of WAL were ever written before it. PostgreSQL calls it LSN. A `Position`
 * also names the system and the timeline.
 */
export type Lsn = bigint

/**
 * Reads an LSN as PostgreSQL writes it, such as `'0/3000148'`; undefined for anything else
 * (https://www.postgresql.org/docs/current/datatype-pg-lsn.html).
 */
export function parseLsn(text: unknown): Lsn | undefined {
  const match = typeof text === 'string' ? LSN.exec(text) : null
  if (match === null) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

const LSN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** Writes an LSN as PostgreSQL does. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
}

/**
 * If an insert position is right after a page header, gives the start of that page instead. On an idle system, that
 * header is neither written nor replayed until a record follows it, so no replica would reach the position.
 * `segmentSize` is in bytes (`wal_segment_size`, 16 MiB by default). The sizes are those of `XLogPageHeaderData` and
 * `XLogLongPageHeaderData` in PostgreSQL's `access/xlog_internal.h`.
 */
export function beforePageHeader(lsn: Lsn, segmentSize = 16 * 1024 * 1024): Lsn {
  const inSegment = lsn % BigInt(segmentSize)
  if (inSegment < PAGE) return inSegment === LONG_HEADER ? lsn - LONG_HEADER : lsn
  return inSegment % PAGE === SHORT_HEADER ? lsn - SHORT_HEADER : lsn
}

const PAGE = 8192n
const SHORT_HEADER = 24n
const LONG_HEADER = 40n // at the start of a segment
