import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import { clusterError } from './cluster-error.ts'

// PostgreSQL writes numbers as its machine has them, and the size of its structures depends on the processor too: hence
// some places are looked for, not known.
const isLittleEndian = endianness() === 'LE'

/** How much of a file's beginning is read: its control data are at most as long, so that a disk writes them whole. */
export const HEAD_BYTES = 512

/** An identifier as `initdb` makes it: the time in seconds above, below it what tells apart those of one second. */
export function newSystemIdentifier(nowMs = Date.now()): bigint {
  const seconds = BigInt.asUintN(31, BigInt(Math.floor(nowMs / 1_000)))
  return (seconds << 32n) | BigInt(randomBytes(4).readUInt32LE())
}

/** The beginning of a file that holds the identifier, as far as any of it changes with that. */
export function readHead(file: string): DataView {
  const head = new DataView(new ArrayBuffer(HEAD_BYTES))
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, head, 0, HEAD_BYTES, 0)
  } finally {
    closeSync(descriptor)
  }
  return head
}

/** Gives `global/pg_control` another identifier, which is its first field, and a checksum to match; tells the old one. */
export function identifyControlFile(head: DataView, identifier: bigint): bigint {
  const checksumAt = findChecksum(head)
  const former = head.getBigUint64(0, isLittleEndian)
  head.setBigUint64(0, identifier, isLittleEndian)
  head.setUint32(checksumAt, crc32c(head, checksumAt), isLittleEndian)
  return former
}

/** Gives a segment of the WAL another identifier: it is in the header of the first page, which has no checksum. */
export function identifySegment(head: DataView, former: bigint, identifier: bigint): void {
  const at = IDENTIFIER_OFFSETS.find((offset) => head.getBigUint64(offset, isLittleEndian) === former)
  if (at === undefined) {
    throw clusterError('a segment of the WAL does not say of which cluster it is: its format is not known')
  }
  head.setBigUint64(at, identifier, isLittleEndian)
}

// The second one on 32-bit x86, where the fields before it need no padding.
const IDENTIFIER_OFFSETS = [24, 20]

/** The control data of each major version have another length, but all end with the checksum of what is before. */
function findChecksum(head: DataView): number {
  for (let offset = 8; offset < HEAD_BYTES; offset += 4) {
    if (head.getUint32(offset, isLittleEndian) === crc32c(head, offset)) return offset
  }
  throw clusterError('pg_control has no checksum that is known, so the cluster cannot get its own identifier')
}

/** CRC-32C (Castagnoli) of so many first bytes; that of `zlib` has another polynomial. */
function crc32c(head: DataView, length: number): number {
  let crc = 0xffff_ffff
  for (let index = 0; index < length; index++) {
    crc ^= head.getUint8(index)
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0)
  }
  return ~crc >>> 0
}
