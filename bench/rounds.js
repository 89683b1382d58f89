/**
 * The method of all these scripts. Variants take turns in many short rounds, so other work of the machine affects all
 * of them alike. Only numbers of the same round are compared.
 */

/**
 * @typedef {object} Variant
 * @property {string} name
 * @property {(iterations: number) => Promise<unknown> | unknown} run does the work that many times
 */

/**
 * Times each variant in turn, `rounds` times, after `warmUp` rounds that do not count.
 *
 * @param {readonly Variant[]} variants
 * @param {{ rounds: number, warmUp: number, iterations: number }} options
 * @returns {Promise<number[][]>} µs per iteration: one row per round, one column per variant
 */
export async function timeRounds(variants, { rounds, warmUp, iterations }) {
  const table = []
  for (let round = 0; round < warmUp + rounds; round++) {
    const row = new Array(variants.length)
    for (const index of turn(variants.length, round)) {
      // Each turn begins with an empty nursery, so no variant pays for the garbage of the one before.
      globalThis.gc?.({ type: 'minor' })
      const startMs = performance.now()
      await variants[index].run(iterations)
      row[index] = ((performance.now() - startMs) * 1000) / iterations
    }
    if (round >= warmUp) table.push(row)
  }
  return table
}

/**
 * The order of one round. Another variant begins each time, so no variant always has the same place.
 *
 * @param {number} length
 * @param {number} round
 */
export function turn(length, round) {
  return Array.from({ length }, (_, index) => (index + round) % length)
}

/**
 * The median and the quartiles of what `figure` gives for each round.
 *
 * @param {readonly number[][]} table
 * @param {(row: readonly number[]) => number} figure
 */
export function summary(table, figure) {
  const sorted = table.map(figure).sort((a, b) => a - b)
  const at = (/** @type {number} */ share) => {
    const place = share * (sorted.length - 1)
    const low = Math.floor(place)
    return sorted[low] + (sorted[Math.ceil(place)] - sorted[low]) * (place - low)
  }
  return { median: at(0.5), low: at(0.25), high: at(0.75) }
}

/**
 * Writes a summary as `median (lower quartile to upper quartile)`.
 *
 * @param {{ median: number, low: number, high: number }} summary
 * @param {number} digits
 */
export function show({ median, low, high }, digits = 2) {
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`
}

/**
 * Prints a Markdown table, for README.md.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
export function printTable(head, rows) {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  console.log(lines.join('\n'))
}
