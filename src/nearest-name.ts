/**
 * The known name that `name` most likely stands for: one that differs only in case and in characters such as `_`, or
 * else one that differs by one or two typing errors. Undefined for none.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = lettersOf(name)
  const sameLetters = known.find((each) => lettersOf(each) === wanted)
  if (sameLetters !== undefined) return sameLetters
  // A short name is near many others by chance.
  let least = name.length <= SHORT ? 2 : 3
  let nearest: string | undefined
  for (const each of known) {
    const distance = typingErrors(wanted, lettersOf(each))
    if (distance >= least) continue
    least = distance
    nearest = each
  }
  return nearest
}

const SHORT = 5

/**
 * Only the letters and digits of a name. Languages write one name in several ways: `dbWrite`, `db_write`, `DBWrite`.
 */
export function lettersOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** How many letters must be added, left out, replaced, or swapped with their neighbour (Damerau-Levenshtein). */
function typingErrors(a: string, b: string): number {
  // The loops below take long for long texts. A name that is far longer or shorter is not near anyway, so it is left
  // out.
  if (Math.abs(a.length - b.length) > MAX_ERRORS) return MAX_ERRORS + 1
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY
      ;(rows[i] as number[])[j] = Math.min(replaced, swapped, at(i - 1, j) + 1, at(i, j - 1) + 1)
    }
  }
  return at(a.length, b.length)
}

const MAX_ERRORS = 2
