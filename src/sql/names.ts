/**
 * The names that texts are made of. Most are met again and again, and to find one by its characters costs less than to make
 * a string of them; what is found has its hash at hand as well, when it is looked up in a set.
 */

/** A hash of the characters of a name, to which each is added in turn; it begins with 0. */
export function addToHash(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0
}

/** The piece of a text, whose characters have this hash; the codes are those of the text. */
export function pieceOf(sql: string, codes: Uint16Array, begin: number, end: number, hash: number): string {
  const slot = slotOf(hash)
  const known = PIECES[slot] as string
  if (isAt(known, codes, begin, end)) return known
  const piece = sql.slice(begin, end)
  if (piece.length <= MAX_LENGTH) PIECES[slot] = piece
  return piece
}

/** The same with its ASCII letters in lower case: what a server does to other letters depends on its encoding. */
export function lowerCasePieceOf(
  sql: string,
  codes: Uint16Array,
  begin: number,
  end: number,
  hash: number,
): string {
  const slot = slotOf(hash)
  if (isAt(MIXED[slot] as string, codes, begin, end)) return LOWER[slot] as string
  const piece = sql.slice(begin, end)
  const lower = piece.replace(/[A-Z]+/g, (upper) => upper.toLowerCase())
  if (piece.length <= MAX_LENGTH) {
    MIXED[slot] = piece
    LOWER[slot] = lower
  }
  return lower
}

/** The name as PostgreSQL knows it, which cuts longer ones, so that two texts may mean the same one. */
export function cutToFit(name: string): string {
  if (name.length * MAX_BYTES_PER_UNIT <= MAX_NAME_BYTES) return name
  const bytes = Buffer.from(name)
  if (bytes.length <= MAX_NAME_BYTES) return name
  // Never within a character, whose further bytes all begin with the bits 10.
  let end = MAX_NAME_BYTES
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** The same for a name that is all ASCII. */
export function cutToFitAscii(name: string): string {
  return name.length <= MAX_NAME_BYTES ? name : name.slice(0, MAX_NAME_BYTES)
}

function isAt(name: string, codes: Uint16Array, begin: number, end: number): boolean {
  if (name.length !== end - begin) return false
  for (let index = 0; index < name.length; index++) {
    if (name.charCodeAt(index) !== codes[begin + index]) return false
  }
  return true
}

// The upper bits have seen every character as well.
function slotOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & (SLOTS - 1)
}

const SLOTS = 2_048
// A longer piece would keep the whole text in memory that it was cut from (V8 copies up to 12 characters).
const MAX_LENGTH = 12
const PIECES: string[] = new Array(SLOTS).fill('')
const MIXED: string[] = new Array(SLOTS).fill('')
const LOWER: string[] = new Array(SLOTS).fill('')
const MAX_NAME_BYTES = 63
const MAX_BYTES_PER_UNIT = 3
