/**
 * How much does a read that waits for its turn on the primary cost, when few wait and when many do? The columns of a
 * row should be about the same: no cost may grow with the number that wait.
 */
import { SpillGate } from '../dist/nodes/spill-gate.js'
import { printTable } from './rounds.js'

const COUNTS = [5_000, 20_000, 80_000]
/** How much more one of many may cost than one of few: memory is farther away. */
const MOST = 6

/** @type {Record<string, (gate: SpillGate, count: number) => Promise<unknown>>} */
const ENDS = {
  'times out': (gate, count) => Promise.allSettled(waiting(gate, count, 1)),
  enters: async (gate, count) => {
    const all = Promise.all(waiting(gate, count, 60_000))
    for (let left = 0; left < count; left++) gate.leave()
    await all
  },
  'looks again': async (gate, count) => {
    const all = Promise.all(waiting(gate, count, 60_000))
    gate.lookAgain()
    await all
  },
}

/**
 * @param {SpillGate} gate
 * @param {number} count
 * @param {number} waitMs
 */
function waiting(gate, count, waitMs) {
  return Array.from({ length: count }, () => gate.enter(waitMs))
}

/**
 * @param {(gate: SpillGate, count: number) => Promise<unknown>} end
 * @param {number} count
 */
async function microsecondsEach(end, count) {
  const gate = new SpillGate('default', () => 1)
  await gate.enter()
  const startedMs = performance.now()
  await end(gate, count)
  return ((performance.now() - startedMs) * 1_000) / count
}

console.log(`\n## A read at the gate, Node.js ${process.versions.node}: µs each\n`)
/** @type {string[][]} */
const rows = []
const ratios = []
for (const [name, end] of Object.entries(ENDS)) {
  await microsecondsEach(end, 1_000)
  const each = []
  for (const count of COUNTS) each.push(await microsecondsEach(end, count))
  rows.push([name, ...each.map((us) => us.toFixed(1))])
  ratios.push((each.at(-1) ?? 0) / (each[0] ?? 1))
}
printTable(['it', ...COUNTS.map((count) => `of ${count}`)], rows)
const worst = Math.max(...ratios)
if (worst > MOST) throw new Error(`One of many costs ${worst.toFixed(1)} times as much as one of few.`)
