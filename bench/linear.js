/**
 * Does the time to read a text grow in proportion to its length? Reads texts of each family at one length and at ten
 * times that length, in turns. The second should take about ten times as long.
 */
import { StatementClassifier } from '../dist/sql/classifier.js'
import { FAMILIES } from './long-texts.js'
import { printTable, show, summary, timeRounds } from './rounds.js'

const SHORT = 100_000
const LONG = 10 * SHORT
const classifier = new StatementClassifier({
  primaryTables: ['kysely_migration', 'kysely_migration_lock', 'session'],
  unpinnedTables: ['last_seen'],
  primaryFunctions: [],
  replicaFunctions: [],
})

const rows = []
for (const [name, make] of Object.entries(FAMILIES)) {
  const variants = [make(SHORT), make(LONG)].map((text) => ({
    name: `${name}, ${text.length}`,
    run: (/** @type {number} */ iterations) => {
      let last
      for (let i = 0; i < iterations; i++) last = classifier.classify(text)
      return last
    },
  }))
  const table = await timeRounds(variants, { rounds: 5, warmUp: 1, iterations: 2 })
  rows.push([
    name,
    show(
      summary(table, (row) => row[1] / 1000),
      2,
    ),
    show(
      summary(table, (row) => row[1] / row[0]),
      1,
    ),
  ])
}

console.log(`\n## Long texts, Node.js ${process.versions.node}\n`)
printTable(['texts', `ms for ${LONG} characters`, `as many times what ${SHORT} take`], rows)
