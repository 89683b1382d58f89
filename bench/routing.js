/**
 * How much does routing add to one query? Kysely's own PostgresDialect, `kysely-replication` and write-pinning take
 * turns in one process, over pools that answer at once.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Kysely, PostgresDialect } from 'kysely'
import { KyselyReplicationDialect } from 'kysely-replication'
import { RoundRobinReplicaStrategy } from 'kysely-replication/strategy/round-robin'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { FakePool } from './fake-pool.js'
import { inRequest } from './in-request.js'
import { printTable, show, summary, timeRounds } from './rounds.js'
import './vouched.js'

const CASES = [
  { via: 'executeQuery', context: 'request', replicas: 2, log: false },
  { via: 'executeQuery', context: 'request', replicas: 1, log: false },
  { via: 'executeQuery', context: 'none', replicas: 2, log: false },
  { via: 'executeQuery', context: 'none', replicas: 1, log: false },
  { via: 'builder', context: 'request', replicas: 2, log: false },
  { via: 'builder', context: 'none', replicas: 2, log: false },
  { via: 'executeQuery', context: 'request', replicas: 2, log: true },
  { via: 'executeQuery', context: 'none', replicas: 2, log: true },
]

/** @typedef {(typeof CASES)[number]} Case */

const [only] = process.argv.slice(2)
if (only === undefined) runEachCase()
else await runCase(CASES[Number(only)])

// One process each: on Node.js 20, the first `AsyncLocalStorage.run()` makes every later promise slower.
function runEachCase() {
  console.log(`\n## One query, Node.js ${process.versions.node}: µs\n`)
  const rows = CASES.map((_, index) => {
    const file = fileURLToPath(import.meta.url)
    return JSON.parse(String(execFileSync(process.execPath, ['--expose-gc', file, String(index)])))
  })
  const added = ['added by kysely-replication', 'added by write-pinning', 'share of kysely-replication’s']
  printTable(['by', 'context', 'replicas', 'log', 'PostgresDialect alone', ...added], rows)
}

/** @param {Case} given */
async function runCase(given) {
  const variants = [postgresDialect(), kyselyReplication(given.replicas), ours(given.replicas)].map(
    (dialect) => variant(dialect, given),
  )
  const run = () => timeRounds(variants, { rounds: 40, warmUp: 8, iterations: 15_000 })
  const table = given.context === 'request' ? await inRequest(run) : await run()
  const cells = [
    show(summary(table, ([own]) => own)),
    show(summary(table, ([own, theirs]) => theirs - own)),
    show(summary(table, ([own, , ours]) => ours - own)),
    show(summary(table, ([own, theirs, ours]) => (ours - own) / (theirs - own))),
  ]
  console.log(
    JSON.stringify([given.via, given.context, String(given.replicas), given.log ? 'on' : 'off', ...cells]),
  )
}

/**
 * @param {import('kysely').Dialect} dialect
 * @param {Case} given
 */
function variant(dialect, { via, log }) {
  /** @type {Kysely<any>} */
  const db = new Kysely({ dialect, ...(log && { log: () => {} }) })
  const query = (/** @type {number} */ id) =>
    db.selectFrom('person').select(['id', 'first_name', 'last_name']).where('id', '=', id)
  const compiled = query(1).compile()
  const byCompiled = async (/** @type {number} */ iterations) => {
    for (let i = 0; i < iterations; i++) await db.executeQuery(compiled)
  }
  const byBuilder = async (/** @type {number} */ iterations) => {
    for (let i = 0; i < iterations; i++) await query(i).execute()
  }
  return { name: dialect.constructor.name, run: via === 'builder' ? byBuilder : byCompiled }
}

function postgresDialect() {
  return new PostgresDialect({ pool: /** @type {any} */ (new FakePool()) })
}

/** @param {number} replicas */
function kyselyReplication(replicas) {
  return new KyselyReplicationDialect({
    primaryDialect: postgresDialect(),
    replicaDialects: /** @type {any} */ (Array.from({ length: replicas }, postgresDialect)),
    replicaStrategy: new RoundRobinReplicaStrategy({ onTransaction: 'error' }),
  })
}

/** @param {number} replicas */
function ours(replicas) {
  return new PrimaryReplicaDialect({
    primary: new FakePool(),
    replicas: Array.from({ length: replicas }, () => new FakePool()),
    withoutContext: 'replica',
  })
}
