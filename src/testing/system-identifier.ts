import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import { clusterError } from './cluster-error.ts'

// PostgreSQL writes numbers in the byte order of its machine, and the size of its structures depends on the processor
// too. So some offsets are searched for.
const isLittleEndian = endianness() === 'LE'

/**
 * How many bytes of a file's beginning are read. PostgreSQL keeps the control data within this length, so that a disk
 * writes them whole.
 */
export const HEAD_BYTES = 512

/**
 * Makes an identifier as `initdb` does: its upper half is the time in seconds. The lower half is random here, so that
 * identifiers of one second differ.
 */
export function newSystemIdentifier(nowMs = Date.now()): bigint {
  const seconds = BigInt.asUintN(31, BigInt(Math.floor(nowMs / 1_000)))
  return (seconds << 32n) | BigInt(randomBytes(4).readUInt32LE())
}

/** Reads the beginning of a file that holds the identifier. Nothing after it depends on the identifier. */
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

/**
 * Puts another identifier into `global/pg_control`, where it is the first field, and corrects the checksum. Gives the
 * old identifier.
 */
export function identifyControlFile(head: DataView, identifier: bigint): bigint {
  const checksumAt = findChecksum(head)
  const former = head.getBigUint64(0, isLittleEndian)
  head.setBigUint64(0, identifier, isLittleEndian)
  head.setUint32(checksumAt, crc32c(head, checksumAt), isLittleEndian)
  return former
}

/** Puts another identifier into a segment of the WAL. It is in the header of the first page, which has no checksum. */
export function identifySegment(head: DataView, former: bigint, identifier: bigint): void {
  const at = IDENTIFIER_OFFSETS.find((offset) => head.getBigUint64(offset, isLittleEndian) === former)
  if (at === undefined) {
    throw clusterError('a segment of the WAL does not say of which cluster it is: its format is not known')
  }
  head.setBigUint64(at, identifier, isLittleEndian)
}

// The second one is for 32-bit x86, where the fields before it need no padding.
const IDENTIFIER_OFFSETS = [24, 20]

/**
 * The length of the control data differs by major version, but they always end with the checksum of all bytes before
 * it.
 */
function findChecksum(head: DataView): number {
  for (let offset = 8; offset < HEAD_BYTES; offset += 4) {
    if (head.getUint32(offset, isLittleEndian) === crc32c(head, offset)) return offset
  }
  throw clusterError('pg_control has no checksum that is known, so the cluster cannot get its own identifier')
}

/** CRC-32C (Castagnoli) of the first `length` bytes. The one in `zlib` has another polynomial. */
function crc32c(head: DataView, length: number): number {
  let crc = 0xffff_ffff
  for (let index = 0; index < length; index++) {
    crc ^= head.getUint8(index)
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0)
  }
  return ~crc >>> 0
}
