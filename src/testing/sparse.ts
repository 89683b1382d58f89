import { readFileSync, truncateSync } from 'node:fs'

/** Turns the zeros at the end of a file into a hole, which takes no space and no time to copy. */
export function makeTailSparse(file: string): void {
  const bytes = readFileSync(file)
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  truncateSync(file, end)
  truncateSync(file, bytes.length)
}
