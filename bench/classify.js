/**
 * How much does it cost to tell a read from a write by its text? Measures a known text, the same text in a string
 * that was just put together, as Kysely does for each query (hashing is part of that cost), and new texts.
 */
import { StatementClassifier } from '../dist/sql/classifier.js'
import { printTable, show, summary, timeRounds } from './rounds.js'

const classifier = new StatementClassifier({
  primaryTables: ['kysely_migration', 'kysely_migration_lock', 'session'],
  unpinnedTables: ['last_seen'],
  primaryFunctions: [],
  replicaFunctions: [],
})

const SHORT =
  'select "id", "first_name", "last_name" from "person" where "id" = $1 and "is_active" = $2 limit $3'
const BUILT_1_KB = `select ${Array.from({ length: 38 }, (_, i) => `"t"."column_${i}" as "c${i}"`).join(', ')} from "t"`
const RAW_1_KB = `
  select o.id, o.created_at, c.name as customer_name, coalesce(sum(l.quantity * l.unit_price), 0) as total,
    count(distinct l.product_id) as products, max(l.updated_at) as touched_at
  from orders o
  inner join customers c on c.id = o.customer_id
  left join order_lines l on l.order_id = o.id
  where o.created_at >= $1 and o.created_at < $2 and c.country in ('DE', 'FR', 'IT', 'ES', 'PT')
    and exists (select 1 from payments p where p.order_id = o.id and p.status = 'settled' and p.amount > $3)
    and not exists (select 1 from refunds r where r.order_id = o.id and r.status = 'open')
  group by o.id, o.created_at, c.name
  having sum(l.quantity) > $4
  order by o.created_at desc, o.id limit $5 offset $6`.padEnd(
  1_000,
  ' -- and so on, with a comment that is as long as it takes',
)
let newTexts = 0

/** @type {{ name: string, make: () => string }[]} */
const CASES = [
  { name: `known text of ${SHORT.length} characters`, make: constant(SHORT) },
  { name: `known text of ${SHORT.length} characters, just put together`, make: () => joined(SHORT) },
  // More texts than the classifier remembers, so each one is read.
  { name: `new text of ${SHORT.length} characters`, make: () => `${SHORT} offset ${newTexts++}` },
  {
    name: `new built text of ${BUILT_1_KB.length} characters`,
    make: () => `${BUILT_1_KB} offset ${newTexts++}`,
  },
  {
    name: `new raw text of ${RAW_1_KB.length} characters`,
    make: () => `select ${newTexts++}, ${RAW_1_KB.slice(10)}`,
  },
]

// The time to make the text is subtracted.
const variants = CASES.flatMap(({ name, make }) => [
  { name: `${name}: made`, run: repeat(make, (made) => made) },
  { name, run: repeat(make, (made) => classifier.classify(made)) },
])
const table = await timeRounds(variants, { rounds: 40, warmUp: 5, iterations: 5_000 })

console.log(`\n## Classification, Node.js ${process.versions.node}: ns per statement\n`)
const rows = CASES.map(({ name }, index) => [
  name,
  show(
    summary(table, (row) => (row[2 * index + 1] - row[2 * index]) * 1000),
    0,
  ),
])
printTable(['statement', 'ns'], rows)

/** @param {string} text */
function constant(text) {
  return () => text
}

// As in Kysely's compiler: the parts are not joined into one string yet, and have no hash.
/** @param {string} text */
function joined(text) {
  return `${text.slice(0, 30)}${text.slice(30)}`
}

/**
 * @param {() => string} make
 * @param {(made: string) => unknown} use
 */
function repeat(make, use) {
  return (/** @type {number} */ iterations) => {
    let last
    for (let i = 0; i < iterations; i++) last = use(make())
    return last // so that no compiler can leave the work out
  }
}
