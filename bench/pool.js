/**
 * How much does `pool.query()` of `PrimaryReplicaPool` add to that of a node's `pg` pool? Both take turns in one
 * process, over clients that answer at once.
 */
import { execFileSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { inRequest } from './in-request.js'
import { printTable, show, summary, timeRounds } from './rounds.js'
import './vouched.js'

const CONTEXTS = ['request', 'none']

/** Answers at once, with an empty result. */
class QuickClient extends EventEmitter {
  _queryable = true

  /** @param {() => void} callback */
  connect(callback) {
    process.nextTick(callback)
  }

  /**
   * @param {unknown} _text
   * @param {unknown} _values
   * @param {((error: undefined, result: object) => void) | undefined} callback
   */
  query(_text, _values, callback) {
    if (callback === undefined) return Promise.resolve(RESULT)
    process.nextTick(callback, undefined, RESULT)
    return undefined
  }

  /** @param {() => void} callback */
  end(callback) {
    process.nextTick(callback)
  }
}

const RESULT = { command: 'SELECT', rowCount: 0, rows: [] }

const [only] = process.argv.slice(2)
if (only === undefined) runEach()
else await runIn(only)

// One process each: on Node.js 20, the first `AsyncLocalStorage.run()` makes every later promise slower.
function runEach() {
  console.log(`\n## One pool.query(), Node.js ${process.versions.node}: µs\n`)
  const rows = CONTEXTS.map((context) => {
    const file = fileURLToPath(import.meta.url)
    return JSON.parse(String(execFileSync(process.execPath, ['--expose-gc', file, context])))
  })
  printTable(['context', 'pg.Pool alone', 'added by PrimaryReplicaPool'], rows)
}

/** @param {string} context */
async function runIn(context) {
  const plain = poolOfPg()
  const ours = new PrimaryReplicaPool({
    primary: nodeOf(poolOfPg()),
    replicas: [nodeOf(poolOfPg()), nodeOf(poolOfPg())],
    withoutContext: 'replica',
  })
  const variants = [plain, ours].map((pool) => ({
    name: pool.constructor.name,
    run: async (/** @type {number} */ iterations) => {
      for (let i = 0; i < iterations; i++) await pool.query('select * from person where id = $1', [1])
    },
  }))
  const run = () => timeRounds(variants, { rounds: 40, warmUp: 8, iterations: 10_000 })
  const table = context === 'request' ? await inRequest(run) : await run()
  const cells = [show(summary(table, ([own]) => own)), show(summary(table, ([own, its]) => its - own))]
  console.log(JSON.stringify([context, ...cells]))
  process.exit()
}

function poolOfPg() {
  return new pg.Pool({ Client: /** @type {any} */ (QuickClient), idleTimeoutMillis: 0 })
}

/**
 * A pool without a `Client`, so its node is not watched: no server would answer.
 *
 * @param {pg.Pool} pool
 * @returns {any}
 */
function nodeOf(pool) {
  return { connect: () => pool.connect(), end: () => pool.end() }
}
