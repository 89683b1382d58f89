import { endianness } from 'node:os'

/**
 * The characters of a text as an array of their codes, with zeros behind the end: to read a string character by character
 * costs several times as much. The array of a short text is used again for the next one, so read one text at a time.
 */
export function codesOf(sql: string): Uint16Array {
  const isShort = sql.length <= SHORT
  const codes = isShort ? shared : new Uint16Array(sql.length + ZEROS)
  const bytes = isShort ? sharedBytes : Buffer.from(codes.buffer)
  const length = bytes.write(sql, 0, 'utf16le')
  if (IS_BIG_ENDIAN) bytes.subarray(0, length).swap16()
  codes.fill(0, sql.length, sql.length + ZEROS)
  return codes
}

const SHORT = 8_192
/** How far behind the end anybody looks. */
const ZEROS = 4
const IS_BIG_ENDIAN = endianness() === 'BE'
const shared = new Uint16Array(SHORT + ZEROS)
const sharedBytes = Buffer.from(shared.buffer)
