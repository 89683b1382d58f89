/** A WAL position, as PostgreSQL's `pg_lsn`: 64 bits (https://www.postgresql.org/docs/current/datatype-pg-lsn.html). */
export type Lsn = bigint

/** Reads a position as PostgreSQL writes it, such as `0/3000148`; undefined where it is none. */
export function parseLsn(text: unknown): Lsn | undefined {
  if (typeof text !== 'string') return undefined
  const match = LSN.exec(text)
  if (match === null) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** Writes a position as PostgreSQL does. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

const LSN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/
