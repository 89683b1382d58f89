/**
 * What does it cost to tell a read from a write? A built text that is known already, the same with a text that
 * Kysely has just joined, a built text that is new, and raw texts.
 */
import { CompiledQuery, DummyDriver, Kysely, PostgresAdapter, PostgresQueryCompiler } from 'kysely'
import { StatementClassifier } from '../dist/kysely/statement.js'
import { printTable, show, summary, timeRounds } from './rounds.js'

/** @type {Kysely<any>} */
const db = new Kysely({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: () => {
      throw new Error('not needed')
    },
  },
})

const classifier = new StatementClassifier(['session'], ['last_seen'])
const query = db.selectFrom('person').select(['id', 'first_name', 'last_name']).where('id', '=', 1)
const known = query.compile()
let newTexts = 0

/** @type {{ name: string, make: () => import('kysely').CompiledQuery }[]} */
const CASES = [
  { name: 'built select, known text', make: () => known },
  { name: 'built select, known text, new string', make: () => ({ ...known, sql: joined(known.sql) }) },
  // More texts than the classifier remembers, so that each is inspected.
  { name: 'built select, new text', make: () => ({ ...known, sql: `${known.sql} /* ${newTexts++} */` }) },
  {
    name: 'built insert',
    make: constant(db.insertInto('person').values({ id: 1, first_name: 'A' }).compile()),
  },
  { name: 'raw select', make: constant(CompiledQuery.raw(known.sql, [1])) },
  { name: 'raw update', make: constant(CompiledQuery.raw('update person set first_name = $1', ['A'])) },
]

// What it takes to make the query is taken off.
const variants = CASES.flatMap(({ name, make }) => [
  { name: `${name}: made`, run: repeat(make, (made) => made) },
  { name, run: repeat(make, (made) => classifier.classify(made)) },
])
const table = await timeRounds(variants, { rounds: 60, warmUp: 10, iterations: 20_000 })

console.log(`\n## Classification, Node.js ${process.versions.node}: ns per statement\n`)
const rows = CASES.map(({ name }, index) => [
  name,
  show(
    summary(table, (row) => (row[2 * index + 1] - row[2 * index]) * 1000),
    0,
  ),
])
printTable(['statement', 'ns'], rows)

/** @param {import('kysely').CompiledQuery} query */
function constant(query) {
  return () => query
}

// As Kysely's compiler does it: the parts are not yet one string, and its hash is not known.
/** @param {string} text */
function joined(text) {
  return `${text.slice(0, 30)}${text.slice(30)}`
}

/**
 * @param {() => import('kysely').CompiledQuery} make
 * @param {(made: import('kysely').CompiledQuery) => unknown} use
 */
function repeat(make, use) {
  return (/** @type {number} */ iterations) => {
    let last
    for (let i = 0; i < iterations; i++) last = use(make())
    return last // so that no compiler can leave the work out
  }
}
